/*
 * The foundation of every kernel here: numbers in float32 or bfloat16, loops over rows on all cores, and TensorFlow's C API
 * for custom ops (tensorflow/c/ops.h, kernels.h) in a few lines.
 */
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <functional>
#include <stdexcept>
#include <string>
#include <vector>

#include "inlined.h"
#include "tensorflow/c/kernels.h"
#include "tensorflow/c/ops.h"
#include "tensorflow/c/tf_datatype.h"
#include "tensorflow/c/tf_status.h"
#include "tensorflow/c/tf_tensor.h"

namespace maetok {

/** The upper half of a float32. */
struct Bfloat16 {
  uint16_t bits;
};

MAETOK_INLINED float load(float value) { return value; }

MAETOK_INLINED float load(Bfloat16 value) {
  const uint32_t bits = static_cast<uint32_t>(value.bits) << 16;
  float result;
  std::memcpy(&result, &bits, sizeof result);
  return result;
}

MAETOK_INLINED void store(float* to, float value) { *to = value; }

/** Rounds to the nearest, ties to even; a NaN stays one. */
MAETOK_INLINED void store(Bfloat16* to, float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  const uint32_t rounded = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
  const bool nan = (bits & 0x7fffffffu) > 0x7f800000u;
  to->bits = static_cast<uint16_t>(nan ? (bits >> 16) | 0x40u : rounded);
}

/** Threads that share work. */
int64_t cores();

/** Calls body(begin, end) for ranges that cover [0, count), on all cores where `cost` (numbers touched) is worth it. */
void parallel(int64_t count, int64_t cost, const std::function<void(int64_t, int64_t)>& body);

/**
 * Sums over rows: body(begin, end, sums) adds into its own `width` sums. The ranges depend on `count` alone, never on
 * the number of cores, so that a sum is the same on every machine.
 */
void parallelSums(int64_t count, int64_t cost, int64_t width, float* result,
                  const std::function<void(int64_t, int64_t, float*)>& body);

/** The tensors of one call. Everything is freed with it. */
class Call {
 public:
  explicit Call(TF_OpKernelContext* context) : context_(context), status_(TF_NewStatus()) {}
  ~Call() {
    for (TF_Tensor* tensor : tensors_) TF_DeleteTensor(tensor);
    TF_DeleteStatus(status_);
  }
  Call(const Call&) = delete;
  Call& operator=(const Call&) = delete;

  TF_Tensor* input(int index) {
    TF_Tensor* tensor = nullptr;
    TF_GetInput(context_, index, &tensor, status_);
    check();
    return held(tensor);
  }

  TF_Tensor* output(int index, TF_DataType type, std::vector<int64_t> shape) {
    int64_t bytes = TF_DataTypeSize(type);
    for (int64_t side : shape) bytes *= side;
    TF_Tensor* tensor =
        TF_AllocateOutput(context_, index, type, shape.data(), static_cast<int>(shape.size()), bytes, status_);
    check();
    return held(tensor);
  }

  void fail(const char* message) {
    TF_SetStatus(status_, TF_INVALID_ARGUMENT, message);
    TF_OpKernelContext_Failure(context_, status_);
  }

 private:
  TF_Tensor* held(TF_Tensor* tensor) {
    tensors_.push_back(tensor);
    return tensor;
  }
  void check() {
    if (TF_GetCode(status_) != TF_OK) throw std::runtime_error(TF_Message(status_));
  }

  TF_OpKernelContext* context_;
  TF_Status* status_;
  std::vector<TF_Tensor*> tensors_;
};

inline std::vector<int64_t> shapeOf(const TF_Tensor* tensor) {
  std::vector<int64_t> shape;
  for (int axis = 0; axis < TF_NumDims(tensor); axis++) shape.push_back(TF_Dim(tensor, axis));
  return shape;
}

inline int64_t sizeOf(const TF_Tensor* tensor) { return TF_TensorElementCount(tensor); }

/** A tensor as rows along its last axis. */
struct Rows {
  int64_t width, count;
};

inline Rows rowsOf(const TF_Tensor* tensor) {
  const int64_t width = shapeOf(tensor).back();
  return {width, width > 0 ? sizeOf(tensor) / width : 0};
}

template <typename T>
T* dataOf(const TF_Tensor* tensor) {
  return static_cast<T*>(TF_TensorData(tensor));
}

/** The numbers of an input that a layer may lack: none where it has no entries. */
inline const float* optional(const TF_Tensor* tensor) { return sizeOf(tensor) > 0 ? dataOf<float>(tensor) : nullptr; }

inline void require(bool condition, const char* message) {
  if (!condition) throw std::runtime_error(message);
}

/** Calls body with a value of the type that the tensor holds. */
template <typename Body>
void withType(TF_DataType type, Body body) {
  if (type == TF_FLOAT)
    body(float());
  else if (type == TF_BFLOAT16)
    body(Bfloat16());
  else
    throw std::runtime_error("float32 or bfloat16 expected");
}

/** The attributes of an op, read once when its kernel is made. */
struct Attributes {
  float eps = 0;
  float offset = 0;
  float scale = 1;
  int32_t heads = 1;
  int32_t activation = 0;
  int32_t first = 0, last = 0;
  int32_t groups = 1;
  /** Of an output image, and of the zeros before the image it is made from. */
  int32_t height = 0, width = 0, top = 0, left = 0;
  int32_t neighbours = 1;
  /** The widest vector units that may be used, a number of the kernel's own. */
  int32_t units = 0;
  /** Whether an operand is transposed, and whether operands are rounded to bfloat16 first. */
  int32_t turnA = 0, turnB = 0, rounded = 0;
  /** Tensors in each list of inputs. */
  int32_t count = 0;
  TF_DataType out = TF_FLOAT;
};

/** Registers an op and its kernel for the processor. `attributes` and types are in TensorFlow's notation. */
void registerOp(const char* name, const std::vector<const char*>& inputs, const std::vector<const char*>& outputs,
                const std::vector<const char*>& attributes, void (*compute)(void*, TF_OpKernelContext*));

/** A kernel's body as TensorFlow calls it: exceptions become its failures. */
template <void (*body)(Call&, const Attributes&)>
void kernel(void* attributes, TF_OpKernelContext* context) {
  Call call(context);
  try {
    body(call, *static_cast<Attributes*>(attributes));
  } catch (const std::exception& error) {
    call.fail(error.what());
  }
}

void registerAttend();
void registerAttention();
void registerConvolution();
void registerGroupNorm();
void registerLayers();
void registerLoss();
void registerMatrixProduct();
void registerMoments();
void registerNeighbours();
void registerNormalisation();
void registerUpdates();

}  // namespace maetok
