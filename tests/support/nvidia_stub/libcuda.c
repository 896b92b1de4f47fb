/* A stub of the driver's libcuda.so.1 in which FFmpeg finds one GPU.
 * STUB_CUDA=mismatch: the driver does not start. STUB_CUDA=no-device: there is no GPU. */
#include <stdlib.h>
#include <string.h>

static int is(const char *what) {
  const char *wanted = getenv("STUB_CUDA");
  return wanted && !strcmp(wanted, what);
}

int cuInit(unsigned flags) { return is("mismatch") ? 803 : 0; }
int cuDriverGetVersion(int *version) { *version = 12020; return 0; }
int cuDeviceGetCount(int *count) { *count = !is("no-device"); return 0; }
int cuDeviceGet(int *device, int ordinal) { *device = ordinal; return 0; }
int cuDeviceGetName(char *name, int length, int device) { strncpy(name, "Stub GPU", length); return 0; }
int cuDeviceComputeCapability(int *major, int *minor, int device) { *major = 7; *minor = 5; return 0; }
int cuDeviceGetAttribute(int *value, int attribute, int device) { *value = 1; return 0; }
int cuGetErrorName(int error, const char **name) {
  *name = error == 803 ? "CUDA_ERROR_SYSTEM_DRIVER_MISMATCH" : "CUDA_SUCCESS";
  return 0;
}
int cuGetErrorString(int error, const char **text) { *text = "system has unsupported display driver / cuda driver combination"; return 0; }
int cuCtxCreate_v2(void **context, unsigned flags, int device) { *context = context; return 0; }
int cuCtxPopCurrent_v2(void **context) { return 0; }
int cuCtxPushCurrent_v2(void *context) { return 0; }
int cuCtxDestroy_v2(void *context) { return 0; }

#define NOT_CALLED(name) int name(void) { return 999; }
NOT_CALLED(cuArray3DCreate_v2) NOT_CALLED(cuArrayCreate_v2) NOT_CALLED(cuArrayDestroy) NOT_CALLED(cuCtxGetCurrent)
NOT_CALLED(cuCtxGetDevice) NOT_CALLED(cuCtxSetLimit) NOT_CALLED(cuDestroyExternalMemory)
NOT_CALLED(cuDestroyExternalSemaphore) NOT_CALLED(cuDeviceGetByPCIBusId) NOT_CALLED(cuDeviceGetPCIBusId)
NOT_CALLED(cuDeviceGetUuid) NOT_CALLED(cuDeviceGetUuid_v2) NOT_CALLED(cuDevicePrimaryCtxGetState)
NOT_CALLED(cuDevicePrimaryCtxRelease) NOT_CALLED(cuDevicePrimaryCtxReset) NOT_CALLED(cuDevicePrimaryCtxRetain)
NOT_CALLED(cuDevicePrimaryCtxSetFlags) NOT_CALLED(cuEGLStreamConsumerDisconnect)
NOT_CALLED(cuEGLStreamProducerConnect) NOT_CALLED(cuEGLStreamProducerDisconnect)
NOT_CALLED(cuEGLStreamProducerPresentFrame) NOT_CALLED(cuEGLStreamProducerReturnFrame) NOT_CALLED(cuEventCreate)
NOT_CALLED(cuEventDestroy_v2) NOT_CALLED(cuEventQuery) NOT_CALLED(cuEventRecord) NOT_CALLED(cuEventSynchronize)
NOT_CALLED(cuExternalMemoryGetMappedBuffer) NOT_CALLED(cuExternalMemoryGetMappedMipmappedArray)
NOT_CALLED(cuGLGetDevices_v2) NOT_CALLED(cuGraphicsGLRegisterImage) NOT_CALLED(cuGraphicsMapResources)
NOT_CALLED(cuGraphicsResourceGetMappedPointer_v2) NOT_CALLED(cuGraphicsSubResourceGetMappedArray)
NOT_CALLED(cuGraphicsUnmapResources) NOT_CALLED(cuGraphicsUnregisterResource) NOT_CALLED(cuImportExternalMemory)
NOT_CALLED(cuImportExternalSemaphore) NOT_CALLED(cuLaunchKernel) NOT_CALLED(cuLinkAddData) NOT_CALLED(cuLinkComplete)
NOT_CALLED(cuLinkCreate) NOT_CALLED(cuLinkDestroy) NOT_CALLED(cuMemAllocManaged) NOT_CALLED(cuMemAllocPitch_v2)
NOT_CALLED(cuMemAlloc_v2) NOT_CALLED(cuMemFree_v2) NOT_CALLED(cuMemcpy) NOT_CALLED(cuMemcpy2DAsync_v2)
NOT_CALLED(cuMemcpy2D_v2) NOT_CALLED(cuMemcpyAsync) NOT_CALLED(cuMemcpyDtoDAsync_v2) NOT_CALLED(cuMemcpyDtoD_v2)
NOT_CALLED(cuMemcpyDtoHAsync_v2) NOT_CALLED(cuMemcpyDtoH_v2) NOT_CALLED(cuMemcpyHtoDAsync_v2)
NOT_CALLED(cuMemcpyHtoD_v2) NOT_CALLED(cuMemsetD8Async) NOT_CALLED(cuMipmappedArrayDestroy)
NOT_CALLED(cuMipmappedArrayGetLevel) NOT_CALLED(cuModuleGetFunction) NOT_CALLED(cuModuleGetGlobal)
NOT_CALLED(cuModuleLoadData) NOT_CALLED(cuModuleUnload) NOT_CALLED(cuSignalExternalSemaphoresAsync)
NOT_CALLED(cuStreamAddCallback) NOT_CALLED(cuStreamCreate) NOT_CALLED(cuStreamDestroy_v2) NOT_CALLED(cuStreamQuery)
NOT_CALLED(cuStreamSynchronize) NOT_CALLED(cuStreamWaitEvent) NOT_CALLED(cuTexObjectCreate)
NOT_CALLED(cuCtxSetCurrent) NOT_CALLED(cuMemsetD8_v2) NOT_CALLED(cuTexObjectDestroy) NOT_CALLED(cuWaitExternalSemaphoresAsync)
