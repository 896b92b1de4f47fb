/* A stub of the driver's libnvidia-ml.so.1 with one GPU. STUB_NVML=broken: it does not start. */
#include <stdlib.h>
#include <string.h>

int nvmlInit_v2(void) { return getenv("STUB_NVML") ? 18 : 0; }
int nvmlShutdown(void) { return 0; }
const char *nvmlErrorString(int error) { return "Driver/library version mismatch"; }
int nvmlSystemGetDriverVersion(char *text, unsigned length) { strncpy(text, "535.183.01", length); return 0; }
int nvmlSystemGetCudaDriverVersion_v2(int *version) { *version = 12020; return 0; }
int nvmlDeviceGetCount_v2(unsigned *count) { *count = 1; return 0; }
int nvmlDeviceGetHandleByIndex_v2(unsigned index, void **device) { *device = device; return 0; }
int nvmlDeviceGetName(void *device, char *text, unsigned length) { strncpy(text, "Stub GPU", length); return 0; }
int nvmlDeviceGetMemoryInfo(void *device, unsigned long long *memory) {
  memory[0] = 15360ull << 20, memory[1] = 15000ull << 20, memory[2] = 360ull << 20;
  return 0;
}
int nvmlDeviceGetTemperature(void *device, unsigned sensor, unsigned *celsius) { *celsius = 41; return 0; }
int nvmlDeviceGetCudaComputeCapability(void *device, int *major, int *minor) { *major = 7, *minor = 5; return 0; }
int nvmlDeviceGetMigMode(void *device, unsigned *now, unsigned *pending) { return 3; /* not supported */ }
