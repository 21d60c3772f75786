// What libtorch has and the bindings lack: arithmetic flags, memory of a card, pinned buffers,
// events. Only functions of libtorch_cpu and libc10 are called, so that nothing of CUDA is linked;
// they reach the card through the library that is loaded at run time. A function that can fail
// returns 0, or -1 and leaves a message.

#include <ATen/Context.h>
#include <ATen/ops/empty.h>
#include <c10/core/CachingDeviceAllocator.h>
#include <c10/core/Event.h>
#include <c10/core/impl/VirtualGuardImpl.h>
#include <dlfcn.h>
#include <torch/headeronly/version.h>

static thread_local std::string message;

template <typename F> static int guarded(F body) {
  try {
    body();
    return 0;
  } catch (const c10::Error &error) {
    message = error.what_without_backtrace();
  } catch (const std::exception &error) {
    message = error.what();
  }
  return -1;
}

static c10::DeviceAllocator *allocator() {
  return c10::getDeviceAllocator(c10::DeviceType::CUDA);
}

extern "C" {

const char *atrous_message() { return message.c_str(); }

const char *atrous_libtorch_version() { return TORCH_VERSION; }

// The file that libtorch's CPU library was loaded from.
const char *atrous_libtorch_path() {
  Dl_info found;
  return dladdr(reinterpret_cast<void *>(&at::globalContext), &found) ? found.dli_fname : "";
}

// Whether convolutions and matrix products on a GPU round their factors to TF32. Algorithms are
// chosen by rule and not by trial, so that a run can be repeated to the bit.
int atrous_set_arithmetic(int tf32) {
  return guarded([=] {
    auto &context = at::globalContext();
    context.setAllowTF32CuDNN(tf32 != 0);
    context.setAllowTF32CuBLAS(tf32 != 0);
    context.setBenchmarkCuDNN(false);
    context.setDeterministicCuDNN(true);
  });
}

// Bytes of page-locked memory, which a card can read while the processor works.
int atrous_pinned(int64_t bytes, at::Tensor **tensor) {
  return guarded([=] {
    auto options = at::TensorOptions().dtype(at::kByte).pinned_memory(true);
    *tensor = new at::Tensor(at::empty({bytes}, options));
  });
}

int atrous_cuda_memory(int device, uint64_t *free, uint64_t *total) {
  return guarded([=] {
    auto info = allocator()->getMemoryInfo(static_cast<c10::DeviceIndex>(device));
    *free = info.first;
    *total = info.second;
  });
}

// Gives memory that is cached but not in use back to the driver.
int atrous_cuda_empty_cache() {
  return guarded([] { allocator()->emptyCache(); });
}

// An event behind everything that has been sent to the device's current stream.
int atrous_cuda_event(int device, c10::Event **event) {
  return guarded([=] {
    c10::impl::VirtualGuardImpl cuda(c10::DeviceType::CUDA);
    c10::Device place(c10::DeviceType::CUDA, static_cast<c10::DeviceIndex>(device));
    auto made = std::make_unique<c10::Event>(c10::DeviceType::CUDA);
    made->record(cuda.getStream(place));
    *event = made.release();
  });
}

// Waits until the device has come to the event, which is gone then.
int atrous_cuda_wait(c10::Event *event) {
  std::unique_ptr<c10::Event> owned(event);
  return guarded([&] { owned->synchronize(); });
}

}
