/* What attention does between its products: splitting into heads, rotary positions, softmax, joining. */
#include "softmax.h"

namespace maetok {
namespace {

/** Sizes of qkv [n, t, 3 h d] and of rotation tables [h or 1, t, d], if any. */
struct Layout {
  int64_t n, t, heads, d;
  bool rotated;
  /** Entries from one head's table to the next one's: 0 where all share one. */
  int64_t tableStep;

  int64_t headAt(int64_t image, int64_t head) const { return (image * heads + head) * t * d; }
  int64_t rowAt(int64_t image, int64_t token, int64_t part) const {
    return ((image * t + token) * 3 + part) * heads * d;
  }
};

Layout layoutOf(int64_t n, int64_t t, int64_t heads, int64_t d, const TF_Tensor* cosines) {
  Layout layout{n, t, heads, d, sizeOf(cosines) > 0, 0};
  if (layout.rotated) {
    require(sizeOf(cosines) == t * d || sizeOf(cosines) == heads * t * d, "the rotation does not fit the tokens");
    if (sizeOf(cosines) == heads * t * d && heads > 1) layout.tableStep = t * d;
  }
  return layout;
}

/** (x + bias) · factor. */
template <typename T>
void scaledRow(const T* __restrict x, const float* __restrict bias, float factor, T* __restrict out, int64_t d) {
#pragma omp simd
  for (int64_t c = 0; c < d; c++) store(out + c, (load(x[c]) + bias[c]) * factor);
}

/** (x + bias) · factor, with every pair (a, b) of adjacent features rotated to (a cos − b sin, a sin + b cos). */
template <typename T>
void turnedRow(const T* __restrict x, const float* __restrict bias, float factor, const float* __restrict cosine,
               const float* __restrict sine, T* __restrict out, int64_t d) {
#pragma omp simd
  for (int64_t c = 0; c < d; c += 2) {
    const float a = (load(x[c]) + bias[c]) * factor, b = (load(x[c + 1]) + bias[c + 1]) * factor;
    store(out + c, a * cosine[c] - b * sine[c]);
    store(out + c + 1, a * sine[c] + b * cosine[c]);
  }
}

/**
 * x [n, t, 3 h d] + bias → queries, keys and values [n, h, t, d] of x's type. Queries and keys are multiplied by `scale`
 * and turned.
 */
void splitHeads(Call& call, const Attributes& attributes) {
  TF_Tensor* x = call.input(0);
  TF_Tensor* bias = call.input(1);
  TF_Tensor* cosines = call.input(2);
  TF_Tensor* sines = call.input(3);
  const std::vector<int64_t> shape = shapeOf(x);
  require(shape.size() == 3 && shape[2] % (3 * attributes.heads) == 0, "queries, keys and values expected");
  const int64_t d = shape[2] / 3 / attributes.heads;
  const Layout layout = layoutOf(shape[0], shape[1], attributes.heads, d, cosines);
  require(sizeOf(bias) == 0 || sizeOf(bias) == shape[2], "the bias has another width");
  require(sizeOf(sines) == sizeOf(cosines) && (!layout.rotated || d % 2 == 0), "the rotation does not fit the heads");
  const std::vector<int64_t> perHead{layout.n, layout.heads, layout.t, d};
  TF_Tensor* outputs[3];
  for (int part = 0; part < 3; part++) outputs[part] = call.output(part, TF_TensorType(x), perHead);
  const float* b = optional(bias);
  const float* cosData = optional(cosines);
  const float* sinData = optional(sines);
  const float scale = attributes.scale;
  withType(TF_TensorType(x), [&](auto type) {
    using T = decltype(type);
    const T* from = dataOf<T>(x);
    T* to[3] = {dataOf<T>(outputs[0]), dataOf<T>(outputs[1]), dataOf<T>(outputs[2])};
    // Token by token, since a head's rows lie too far apart to be read ahead.
    parallel(layout.n * layout.t, sizeOf(x), [=](int64_t begin, int64_t end) {
      const std::vector<float> zeros(b ? 0 : d);
      for (int64_t i = begin; i < end; i++) {
        const int64_t image = i / layout.t, token = i % layout.t;
        for (int part = 0; part < 3; part++)
          for (int64_t head = 0; head < layout.heads; head++) {
            const T* xr = from + layout.rowAt(image, token, part) + head * d;
            T* out = to[part] + layout.headAt(image, head) + token * d;
            const float* br = b ? b + (part * layout.heads + head) * d : zeros.data();
            const float factor = part < 2 ? scale : 1.0f;
            const int64_t turn = head * layout.tableStep + token * d;
            if (part < 2 && layout.rotated)
              turnedRow(xr, br, factor, cosData + turn, sinData + turn, out, d);
            else
              scaledRow(xr, br, factor, out, d);
          }
      }
    });
  });
}

/** A scaled row turned the other way. */
template <typename T>
void turnedBackRow(const T* __restrict dy, float scale, const float* __restrict cosine, const float* __restrict sine,
                   float* __restrict row, int64_t d) {
#pragma omp simd
  for (int64_t c = 0; c < d; c += 2) {
    const float a = load(dy[c]), b = load(dy[c + 1]);
    row[c] = (a * cosine[c] + b * sine[c]) * scale;
    row[c + 1] = (b * cosine[c] - a * sine[c]) * scale;
  }
}

/** A pair moves along its quarter turn (a, b) → (−b, a) when its angle grows. */
template <typename T>
void addAngles(const T* __restrict dy, const T* __restrict y, float* __restrict sums, int64_t d) {
#pragma omp simd
  for (int64_t k = 0; k < d / 2; k++)
    sums[k] += load(dy[2 * k + 1]) * load(y[2 * k]) - load(dy[2 * k]) * load(y[2 * k + 1]);
}

template <typename T>
void storeAndAdd(const float* __restrict row, T* __restrict out, float* __restrict sums, int64_t d) {
#pragma omp simd
  for (int64_t c = 0; c < d; c++) {
    store(out + c, row[c]);
    sums[c] += row[c];
  }
}

/**
 * From the gradients of queries, keys and values [n, h, t, d] and the queries and keys themselves: that of x
 * [n, t, 3 h d], of the bias [3 h d], and of the rotation's angles, in the shape of `angles` ([h or 1, t, d/2] or none).
 */
void splitHeadsGrad(Call& call, const Attributes& attributes) {
  TF_Tensor* gradients[3] = {call.input(0), call.input(1), call.input(2)};
  TF_Tensor* turned[2] = {call.input(3), call.input(4)};
  TF_Tensor* cosines = call.input(5);
  TF_Tensor* sines = call.input(6);
  TF_Tensor* angles = call.input(7);
  const std::vector<int64_t> shape = shapeOf(gradients[0]);
  require(shape.size() == 4, "gradients per head expected");
  const int64_t d = shape[3];
  const Layout layout = layoutOf(shape[0], shape[2], shape[1], d, cosines);
  const int64_t width = 3 * layout.heads * d;
  TF_Tensor* dx = call.output(0, TF_TensorType(gradients[0]), {layout.n, layout.t, width});
  TF_Tensor* db = call.output(1, TF_FLOAT, {width});
  TF_Tensor* dAngles = call.output(2, TF_FLOAT, shapeOf(angles));
  const float* cosData = optional(cosines);
  const float* sinData = optional(sines);
  float* angleData = sizeOf(angles) > 0 ? dataOf<float>(dAngles) : nullptr;
  const bool sharedAngles = layout.tableStep == 0;
  const float scale = attributes.scale;
  // One table for all heads gets the sum over them, in their order.
  std::vector<float> perHead(angleData && sharedAngles ? layout.heads * layout.t * d / 2 : 0);
  float* angleSums = angleData && sharedAngles ? perHead.data() : angleData;
  if (angleSums) std::memset(angleSums, 0, layout.heads * layout.t * d / 2 * sizeof(float));
  withType(TF_TensorType(gradients[0]), [&](auto type) {
    using T = decltype(type);
    const T* from[3] = {dataOf<T>(gradients[0]), dataOf<T>(gradients[1]), dataOf<T>(gradients[2])};
    const T* placed[2] = {dataOf<T>(turned[0]), dataOf<T>(turned[1])};
    T* to = dataOf<T>(dx);
    // Some tokens at a time: their angles are their own, so no two threads ever add to one sum.
    parallelSums(layout.t, layout.n * layout.t * width, width, dataOf<float>(db),
                 [=](int64_t begin, int64_t end, float* biasSums) {
      std::vector<float> row(d);
      for (int64_t image = 0; image < layout.n; image++)
        for (int64_t token = begin; token < end; token++)
          for (int part = 0; part < 3; part++)
            for (int64_t head = 0; head < layout.heads; head++) {
              const int64_t at = layout.headAt(image, head) + token * d;
              const T* dy = from[part] + at;
              if (part < 2 && layout.rotated) {
                const int64_t turn = head * layout.tableStep + token * d;
                turnedBackRow(dy, scale, cosData + turn, sinData + turn, row.data(), d);
                if (angleSums) addAngles(dy, placed[part] + at, angleSums + (head * layout.t + token) * d / 2, d);
              } else {
                const float factor = part < 2 ? scale : 1.0f;
#pragma omp simd
                for (int64_t c = 0; c < d; c++) row[c] = load(dy[c]) * factor;
              }
              storeAndAdd(row.data(), to + layout.rowAt(image, token, part) + head * d,
                          biasSums + (part * layout.heads + head) * d, d);
            }
    });
  });
  if (angleData && sharedAngles) {
    const int64_t size = layout.t * d / 2;
    std::memset(angleData, 0, size * sizeof(float));
    for (int64_t head = 0; head < layout.heads; head++)
      for (int64_t i = 0; i < size; i++) angleData[i] += perHead[head * size + i];
  }
}

/** x [n, a, b, d] → [n, b, a, d]. */
void swapHeads(Call& call, const Attributes&) {
  TF_Tensor* x = call.input(0);
  const std::vector<int64_t> shape = shapeOf(x);
  require(shape.size() == 4, "four axes expected");
  const int64_t a = shape[1], b = shape[2], d = shape[3];
  TF_Tensor* y = call.output(0, TF_TensorType(x), {shape[0], b, a, d});
  const size_t bytes = d * TF_DataTypeSize(TF_TensorType(x));
  const char* from = dataOf<char>(x);
  char* to = dataOf<char>(y);
  parallel(shape[0] * b, sizeOf(x), [=](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; i++) {
      const int64_t image = i / b, second = i % b;
      for (int64_t first = 0; first < a; first++)
        std::memcpy(to + (i * a + first) * bytes, from + ((image * a + first) * b + second) * bytes, bytes);
    }
  });
}

/** Softmax over the last axis, x's type. */
void softmax(Call& call, const Attributes&) {
  TF_Tensor* x = call.input(0);
  const std::vector<int64_t> shape = shapeOf(x);
  const int64_t width = rowsOf(x).width, rows = rowsOf(x).count;
  TF_Tensor* y = call.output(0, TF_TensorType(x), shape);
  withType(TF_TensorType(x), [&](auto type) {
    using T = decltype(type);
    const T* from = dataOf<T>(x);
    T* to = dataOf<T>(y);
    parallel(rows, sizeOf(x), [=](int64_t begin, int64_t end) {
      std::vector<float> row(width);
      float* r = row.data();
      for (int64_t i = begin; i < end; i++) {
        const T* xr = from + i * width;
        T* yr = to + i * width;
        const float reciprocal = softmaxRow(xr, width, r);
#pragma omp simd
        for (int64_t c = 0; c < width; c++) store(yr + c, r[c] * reciprocal);
      }
    });
  });
}

/** Gradient of the softmax's input from its output p and dp: p ∘ (dp − ⟨p, dp⟩). */
void softmaxGrad(Call& call, const Attributes&) {
  TF_Tensor* p = call.input(0);
  TF_Tensor* dp = call.input(1);
  const std::vector<int64_t> shape = shapeOf(p);
  const int64_t width = rowsOf(p).width, rows = rowsOf(p).count;
  require(sizeOf(dp) == sizeOf(p), "the gradient has another size than the weights");
  TF_Tensor* ds = call.output(0, TF_TensorType(p), shape);
  withType(TF_TensorType(p), [&](auto type) {
    using T = decltype(type);
    const T* weights = dataOf<T>(p);
    const T* gradients = dataOf<T>(dp);
    T* to = dataOf<T>(ds);
    parallel(rows, sizeOf(p), [=](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; i++) {
        const T* w = weights + i * width;
        const T* g = gradients + i * width;
        T* out = to + i * width;
        float inner = 0;
#pragma omp simd reduction(+ : inner)
        for (int64_t c = 0; c < width; c++) inner += load(w[c]) * load(g[c]);
#pragma omp simd
        for (int64_t c = 0; c < width; c++) store(out + c, load(w[c]) * (load(g[c]) - inner));
      }
    });
  });
}

}  // namespace

void registerAttention() {
  const char* T = "T: {float, bfloat16}";
  registerOp("MaetokSplitHeads", {"x: T", "bias: float", "cosines: float", "sines: float"}, {"q: T", "k: T", "v: T"},
             {T, "heads: int", "scale: float"}, kernel<splitHeads>);
  registerOp("MaetokSplitHeadsGrad",
             {"dq: T", "dk: T", "dv: T", "q: T", "k: T", "cosines: float", "sines: float", "angles: float"},
             {"dx: T", "db: float", "d_angles: float"}, {T, "scale: float"}, kernel<splitHeadsGrad>);
  registerOp("MaetokSwapHeads", {"x: T"}, {"y: T"}, {T}, kernel<swapHeads>);
  registerOp("MaetokSoftmax", {"x: T"}, {"y: T"}, {T}, kernel<softmax>);
  registerOp("MaetokSoftmaxGrad", {"p: T", "dp: T"}, {"ds: T"}, {T}, kernel<softmaxGrad>);
}

}  // namespace maetok
