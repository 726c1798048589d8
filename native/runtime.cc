#include "runtime.h"

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <mutex>
#include <thread>

namespace maetok {
namespace {

/** Work on fewer numbers than this is done before another core has woken up. */
constexpr int64_t WORTH_SHARING = 32768;

/** Rows are summed in so many ranges at most. */
constexpr int64_t MOST_RANGES = 16;

int coreCount() {
  // The number of threads that TensorFlow's own kernels use, so that both use the same.
  if (const char* own = std::getenv("TF_NUM_INTRAOP_THREADS")) {
    const int threads = std::atoi(own);
    if (threads > 0) return threads;
  }
  return std::max(1u, std::thread::hardware_concurrency());
}

/** How long a thread looks for what it waits for before it sleeps: to be woken takes about as long as a small kernel. */
constexpr std::chrono::microseconds PATIENCE(100);

/** Whether a condition has come true soon. */
template <typename Condition>
bool soon(Condition condition) {
  const auto end = std::chrono::steady_clock::now() + PATIENCE;
  do
    for (int look = 0; look < 64; look++) {
      if (condition()) return true;
#if defined(__x86_64__)
      __builtin_ia32_pause();
#endif
    }
  while (std::chrono::steady_clock::now() < end);
  return false;
}

/** Threads that wait for jobs; the caller works along. One job at a time: TensorFlow.js calls from one thread. */
class Pool {
 public:
  Pool() {
    for (int i = 1; i < coreCount(); i++) std::thread([this] { serve(); }).detach();
  }

  void run(int64_t tasks, const std::function<void(int64_t)>& task) {
    std::lock_guard<std::mutex> oneJob(jobs_);
    {
      std::lock_guard<std::mutex> lock(mutex_);
      task_ = &task;
      next_ = 0;
      tasks_ = tasks;
      unfinished_ = tasks;
      job_++;
    }
    wake_.notify_all();
    work();
    soon([this] { return unfinished_ == 0; });
    std::unique_lock<std::mutex> lock(mutex_);
    done_.wait(lock, [this] { return unfinished_ == 0; });
    task_ = nullptr;
  }

 private:
  void serve() {
    for (int64_t last = 0;;) {
      soon([&] { return job_ != last; });
      {
        std::unique_lock<std::mutex> lock(mutex_);
        wake_.wait(lock, [&] { return job_ != last; });
        last = job_;
      }
      work();
    }
  }

  void work() {
    for (;;) {
      const std::function<void(int64_t)>* task;
      int64_t index;
      {
        std::lock_guard<std::mutex> lock(mutex_);
        if (task_ == nullptr || next_ >= tasks_) return;
        task = task_;
        index = next_++;
      }
      (*task)(index);
      std::lock_guard<std::mutex> lock(mutex_);
      if (--unfinished_ == 0) done_.notify_all();
    }
  }

  std::mutex jobs_, mutex_;
  std::condition_variable wake_, done_;
  const std::function<void(int64_t)>* task_ = nullptr;
  int64_t next_ = 0, tasks_ = 0;
  /** Read without the lock too: how many tasks of the job are not done, and its number. */
  std::atomic<int64_t> unfinished_{0}, job_{0};
};

/** Never destroyed: its threads may outlive everything that runs at exit. */
Pool& pool() {
  static Pool* shared = new Pool();
  return *shared;
}

}  // namespace

int64_t cores() { return coreCount(); }

void parallel(int64_t count, int64_t cost, const std::function<void(int64_t, int64_t)>& body) {
  // Few tasks are taken one by one: of ranges that differ in length the last one lets the other threads wait.
  const int64_t shared = count <= 8 * coreCount() ? count : 4 * coreCount();
  const int64_t ranges = cost < WORTH_SHARING ? std::min<int64_t>(count, 1) : shared;
  if (ranges <= 1) return body(0, count);
  pool().run(ranges, [&](int64_t i) { body(count * i / ranges, count * (i + 1) / ranges); });
}

void parallelSums(int64_t count, int64_t cost, int64_t width, float* result,
                  const std::function<void(int64_t, int64_t, float*)>& body) {
  const int64_t ranges = std::max<int64_t>(1, std::min(count, MOST_RANGES));
  std::vector<float> partial(ranges * width, 0.0f);
  const auto range = [&](int64_t i) {
    body(count * i / ranges, count * (i + 1) / ranges, partial.data() + i * width);
  };
  if (cost < WORTH_SHARING)
    for (int64_t i = 0; i < ranges; i++) range(i);
  else
    pool().run(ranges, range);
  for (int64_t column = 0; column < width; column++) result[column] = 0;
  for (int64_t i = 0; i < ranges; i++)
    for (int64_t column = 0; column < width; column++) result[column] += partial[i * width + column];
}

namespace {

void* readAttributes(TF_OpKernelConstruction* construction) {
  auto* read = new Attributes();
  TF_Status* status = TF_NewStatus();
  // An attribute that the op lacks keeps its default.
  TF_OpKernelConstruction_GetAttrFloat(construction, "eps", &read->eps, status);
  TF_OpKernelConstruction_GetAttrFloat(construction, "offset", &read->offset, status);
  TF_OpKernelConstruction_GetAttrFloat(construction, "scale", &read->scale, status);
  TF_OpKernelConstruction_GetAttrInt32(construction, "heads", &read->heads, status);
  TF_OpKernelConstruction_GetAttrInt32(construction, "activation", &read->activation, status);
  TF_OpKernelConstruction_GetAttrInt32(construction, "first", &read->first, status);
  TF_OpKernelConstruction_GetAttrInt32(construction, "last", &read->last, status);
  TF_OpKernelConstruction_GetAttrInt32(construction, "groups", &read->groups, status);
  TF_OpKernelConstruction_GetAttrInt32(construction, "height", &read->height, status);
  TF_OpKernelConstruction_GetAttrInt32(construction, "width", &read->width, status);
  TF_OpKernelConstruction_GetAttrInt32(construction, "top", &read->top, status);
  TF_OpKernelConstruction_GetAttrInt32(construction, "left", &read->left, status);
  TF_OpKernelConstruction_GetAttrInt32(construction, "neighbours", &read->neighbours, status);
  TF_OpKernelConstruction_GetAttrInt32(construction, "units", &read->units, status);
  TF_OpKernelConstruction_GetAttrInt32(construction, "turn_a", &read->turnA, status);
  TF_OpKernelConstruction_GetAttrInt32(construction, "turn_b", &read->turnB, status);
  TF_OpKernelConstruction_GetAttrInt32(construction, "rounded", &read->rounded, status);
  TF_OpKernelConstruction_GetAttrInt32(construction, "N", &read->count, status);
  TF_OpKernelConstruction_GetAttrType(construction, "Tout", &read->out, status);
  TF_DeleteStatus(status);
  return read;
}

void freeAttributes(void* attributes) { delete static_cast<Attributes*>(attributes); }

}  // namespace

void registerOp(const char* name, const std::vector<const char*>& inputs, const std::vector<const char*>& outputs,
                const std::vector<const char*>& attributes, void (*compute)(void*, TF_OpKernelContext*)) {
  TF_OpDefinitionBuilder* op = TF_NewOpDefinitionBuilder(name);
  for (const char* attribute : attributes) TF_OpDefinitionBuilderAddAttr(op, attribute);
  for (const char* input : inputs) TF_OpDefinitionBuilderAddInput(op, input);
  for (const char* output : outputs) TF_OpDefinitionBuilderAddOutput(op, output);
  // Shapes are found when a kernel runs; nothing here is ever part of a graph.
  TF_OpDefinitionBuilderSetShapeInferenceFunction(op, [](TF_ShapeInferenceContext*, TF_Status*) {});
  TF_Status* status = TF_NewStatus();
  TF_RegisterOpDefinition(op, status);
  if (TF_GetCode(status) == TF_OK) {
    TF_KernelBuilder* builder = TF_NewKernelBuilder(name, "CPU", readAttributes, compute, freeAttributes);
    TF_RegisterKernelBuilder(name, builder, status);
  }
  TF_DeleteStatus(status);
}

void registerAll() {
  registerAttend();
  registerAttention();
  registerConvolution();
  registerGroupNorm();
  registerLayers();
  registerLoss();
  registerMatrixProduct();
  registerMoments();
  registerNeighbours();
  registerNormalisation();
  registerUpdates();
}

}  // namespace maetok

/* These files are compiled twice: `maetok_wide` for AVX-512, which nothing may enter on other processors, its start included. */
#if !defined(MAETOK_WIDE)

#if defined(MAETOK_HAS_WIDE)
namespace maetok_wide {
void registerAll();
}
#endif

namespace {

/** When the addon is loaded. A processor without AVX2 has no kernels, and the layers are composed of TensorFlow's. */
const bool registered = [] {
#if defined(MAETOK_HAS_WIDE)
  const bool wide = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                    __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
                    __builtin_cpu_supports("avx512vl");
  if (wide) return maetok_wide::registerAll(), true;
#endif
#if defined(__x86_64__)
  if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma")) return false;
#endif
  return maetok::registerAll(), true;
}();

}  // namespace

#endif
