/* A stub of the driver's libnvidia-encode.so.1 that refuses to open a session.
 * STUB_NVENC_API is its API version ("12.2"), STUB_NVENC_SESSION the status that it returns
 * (2: unsupported device, 10: out of memory, 21: incompatible client key). */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

static int number(const char *name, int otherwise) { return getenv(name) ? atoi(getenv(name)) : otherwise; }

int NvEncodeAPIGetMaxSupportedVersion(uint32_t *version) {
  int major = 99, minor = 0;
  if (getenv("STUB_NVENC_API")) sscanf(getenv("STUB_NVENC_API"), "%d.%d", &major, &minor);
  *version = (uint32_t)major << 4 | (uint32_t)minor;
  return 0;
}

static int open_session(void *parameters, void **encoder) { return number("STUB_NVENC_SESSION", 2); }
static const char *last_error(void *encoder) { return "the stub refuses"; }
static int refuse(void) { return number("STUB_NVENC_SESSION", 2); }

/* NV_ENCODE_API_FUNCTION_LIST: version, reserved, then pointers; 29 is nvEncOpenEncodeSessionEx, 37 nvEncGetLastErrorString. */
int NvEncodeAPICreateInstance(void *list) {
  void **functions = (void **)((uint32_t *)list + 2);
  for (int index = 0; index < 40; index++) functions[index] = (void *)refuse;
  functions[29] = (void *)open_session;
  functions[37] = (void *)last_error;
  return 0;
}
