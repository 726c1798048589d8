/* Biases, activations and residual sums: one pass over memory each, forward and backward. */
#include "functions.h"
#include "runtime.h"

namespace maetok {
namespace {

/** y = f(x + b). x [..., c] of float32 or bfloat16, b [c] or none → y of `Tout`. */
void biasedActivation(Call& call, const Attributes& attributes) {
  TF_Tensor* x = call.input(0);
  TF_Tensor* bias = call.input(1);
  const std::vector<int64_t> shape = shapeOf(x);
  const int64_t width = rowsOf(x).width, rows = rowsOf(x).count;
  require(sizeOf(bias) == 0 || sizeOf(bias) == width, "the bias has another width");
  TF_Tensor* y = call.output(0, attributes.out, shape);
  const float* b = optional(bias);
  withType(TF_TensorType(x), [&](auto in) {
    withType(attributes.out, [&](auto out) {
      withActivation(attributes.activation, [&](auto f) {
        using In = decltype(in);
        using Out = decltype(out);
        using F = decltype(f);
        const In* from = dataOf<In>(x);
        Out* to = dataOf<Out>(y);
        parallel(rows, sizeOf(x), [=](int64_t begin, int64_t end) {
          for (int64_t row = begin; row < end; row++) {
            const In* xr = from + row * width;
            Out* yr = to + row * width;
            if (b)
#pragma omp simd
              for (int64_t c = 0; c < width; c++) store(yr + c, F::value(load(xr[c]) + b[c]));
            else
#pragma omp simd
              for (int64_t c = 0; c < width; c++) store(yr + c, F::value(load(xr[c])));
          }
        });
      });
    });
  });
}

/** From dy, x and b of y = f(x + b): y once more, dx (both of x's type) and db, in b's shape ([c] or none). */
void biasedActivationGrad(Call& call, const Attributes& attributes) {
  TF_Tensor* dy = call.input(0);
  TF_Tensor* x = call.input(1);
  TF_Tensor* bias = call.input(2);
  const std::vector<int64_t> shape = shapeOf(x);
  const int64_t width = rowsOf(x).width, rows = rowsOf(x).count;
  require(sizeOf(dy) == sizeOf(x), "the gradient has another size than the values");
  require(sizeOf(bias) == 0 || sizeOf(bias) == width, "the bias has another width");
  TF_Tensor* y = call.output(0, TF_TensorType(x), shape);
  TF_Tensor* dx = call.output(1, TF_TensorType(x), shape);
  TF_Tensor* db = call.output(2, TF_FLOAT, shapeOf(bias));
  const std::vector<float> none(width, 0.0f);
  std::vector<float> unused(width);
  const float* b = sizeOf(bias) > 0 ? dataOf<float>(bias) : none.data();
  float* sumsOf = sizeOf(bias) > 0 ? dataOf<float>(db) : unused.data();
  withType(TF_TensorType(dy), [&](auto dyType) {
    withType(TF_TensorType(x), [&](auto xType) {
      withActivation(attributes.activation, [&](auto f) {
        using G = decltype(dyType);
        using T = decltype(xType);
        using F = decltype(f);
        const G* dyData = dataOf<G>(dy);
        const T* xData = dataOf<T>(x);
        T* yData = dataOf<T>(y);
        T* dxData = dataOf<T>(dx);
        parallelSums(rows, sizeOf(x), width, sumsOf, [=](int64_t begin, int64_t end, float* sums) {
          for (int64_t row = begin; row < end; row++) {
            const int64_t at = row * width;
#pragma omp simd
            for (int64_t c = 0; c < width; c++) {
              float value, slope;
              F::valueAndSlope(load(xData[at + c]) + b[c], &value, &slope);
              const float gradient = load(dyData[at + c]) * slope;
              store(yData + at + c, value);
              store(dxData + at + c, gradient);
              sums[c] += gradient;
            }
          }
        });
      });
    });
  });
}

/** Sums over all axes but the last. x [..., c] → [c]. */
void columnSums(Call& call, const Attributes&) {
  TF_Tensor* x = call.input(0);
  const int64_t width = rowsOf(x).width, rows = rowsOf(x).count;
  TF_Tensor* result = call.output(0, TF_FLOAT, {width});
  withType(TF_TensorType(x), [&](auto type) {
    using T = decltype(type);
    const T* data = dataOf<T>(x);
    parallelSums(rows, sizeOf(x), width, dataOf<float>(result), [=](int64_t begin, int64_t end, float* sums) {
      for (int64_t row = begin; row < end; row++)
#pragma omp simd
        for (int64_t c = 0; c < width; c++) sums[c] += load(data[row * width + c]);
    });
  });
}

/** x + y ∘ s. x, y [..., c]; s [g, c], one row of it for each g-th of the rows. */
void gatedSum(Call& call, const Attributes&) {
  TF_Tensor* x = call.input(0);
  TF_Tensor* y = call.input(1);
  TF_Tensor* gate = call.input(2);
  const std::vector<int64_t> shape = shapeOf(x);
  const int64_t width = rowsOf(x).width, rows = rowsOf(x).count;
  const int64_t groups = sizeOf(gate) / width;
  require(sizeOf(y) == sizeOf(x), "the branch has another size than what it is added to");
  require(groups > 0 && groups * width == sizeOf(gate) && rows % groups == 0, "the gate does not fit the rows");
  TF_Tensor* sum = call.output(0, TF_FLOAT, shape);
  const float* xData = dataOf<float>(x);
  const float* yData = dataOf<float>(y);
  const float* gates = dataOf<float>(gate);
  float* to = dataOf<float>(sum);
  const int64_t perGroup = rows / groups;
  parallel(rows, sizeOf(x), [=](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; row++) {
      const float* g = gates + (row / perGroup) * width;
      const int64_t at = row * width;
#pragma omp simd
      for (int64_t c = 0; c < width; c++) to[at + c] = xData[at + c] + yData[at + c] * g[c];
    }
  });
}

/** From dz, y and s of z = x + y ∘ s: dy and ds [g, c]; dx is dz. */
void gatedSumGrad(Call& call, const Attributes&) {
  TF_Tensor* dz = call.input(0);
  TF_Tensor* y = call.input(1);
  TF_Tensor* gate = call.input(2);
  const std::vector<int64_t> shape = shapeOf(y);
  const int64_t width = shape.back();
  const int64_t groups = sizeOf(gate) / width;
  const int64_t perGroup = sizeOf(y) / width / groups;
  TF_Tensor* dy = call.output(0, TF_FLOAT, shape);
  TF_Tensor* ds = call.output(1, TF_FLOAT, shapeOf(gate));
  const float* dzData = dataOf<float>(dz);
  const float* yData = dataOf<float>(y);
  const float* gates = dataOf<float>(gate);
  float* dyData = dataOf<float>(dy);
  float* dsData = dataOf<float>(ds);
  const auto addRows = [=](int64_t begin, int64_t end, const float* g, float* sums) {
    for (int64_t row = begin; row < end; row++) {
      const int64_t at = row * width;
#pragma omp simd
      for (int64_t c = 0; c < width; c++) {
        sums[c] += dzData[at + c] * yData[at + c];
        dyData[at + c] = dzData[at + c] * g[c];
      }
    }
  };
  if (groups == 1) {
    parallelSums(perGroup, sizeOf(y), width, dsData,
                 [=](int64_t begin, int64_t end, float* sums) { addRows(begin, end, gates, sums); });
    return;
  }
  parallel(groups, sizeOf(y), [=](int64_t begin, int64_t end) {
    for (int64_t group = begin; group < end; group++) {
      float* sums = dsData + group * width;
#pragma omp simd
      for (int64_t c = 0; c < width; c++) sums[c] = 0;
      addRows(group * perGroup, (group + 1) * perGroup, gates + group * width, sums);
    }
  });
}

}  // namespace

void registerLayers() {
  const char* T = "T: {float, bfloat16}";
  const char* G = "G: {float, bfloat16}";
  const char* out = "Tout: {float, bfloat16}";
  registerOp("MaetokBiasedActivation", {"x: T", "bias: float"}, {"y: Tout"}, {T, out, "activation: int"},
             kernel<biasedActivation>);
  registerOp("MaetokBiasedActivationGrad", {"dy: G", "x: T", "bias: float"}, {"y: T", "dx: T", "db: float"},
             {G, T, "activation: int"}, kernel<biasedActivationGrad>);
  registerOp("MaetokColumnSums", {"x: T"}, {"sums: float"}, {T}, kernel<columnSums>);
  registerOp("MaetokGatedSum", {"x: float", "y: float", "gate: float"}, {"z: float"}, {}, kernel<gatedSum>);
  registerOp("MaetokGatedSumGrad", {"dz: float", "y: float", "gate: float"}, {"dy: float", "ds: float"}, {},
             kernel<gatedSumGrad>);
}

}  // namespace maetok
