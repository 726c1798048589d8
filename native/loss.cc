/* What a loss sends back. */
#include "softmax.h"

namespace maetok {
namespace {

/**
 * The gradient of cross-entropy for several heads on the same rows: (softmax of a head's logits − truth) · scale. Inputs: logits
 * [n, heads · classes] without their bias [heads · classes], labels [n], the scale; the result in the logits' shape.
 */
void crossEntropyGrad(Call& call, const Attributes& attributes) {
  TF_Tensor* logits = call.input(0);
  TF_Tensor* biases = call.input(1);
  TF_Tensor* labels = call.input(2);
  const float scale = *dataOf<float>(call.input(3));
  const auto [width, count] = rowsOf(logits);
  const int64_t heads = attributes.heads;
  require(heads > 0 && width % heads == 0 && sizeOf(biases) == width, "logits are [n, heads · classes], as the bias is");
  require(sizeOf(labels) == count, "a label for each row expected");
  const int64_t classes = width / heads;
  const int32_t* truth = dataOf<int32_t>(labels);
  for (int64_t i = 0; i < count; i++) require(truth[i] >= 0 && truth[i] < classes, "a label is none of the classes");
  const float* from = dataOf<float>(logits);
  const float* bias = dataOf<float>(biases);
  float* to = dataOf<float>(call.output(0, TF_FLOAT, {count, width}));
  parallel(count, sizeOf(logits), [=, width = width](int64_t begin, int64_t end) {
    std::vector<float> own(classes);
    for (int64_t i = begin; i < end; i++)
      for (int64_t first = 0; first < width; first += classes) {
        const float* x = from + i * width + first;
        float* y = to + i * width + first;
#pragma omp simd
        for (int64_t c = 0; c < classes; c++) own[c] = x[c] + bias[first + c];
        const float factor = softmaxRow(own.data(), classes, y) * scale;
#pragma omp simd
        for (int64_t c = 0; c < classes; c++) y[c] *= factor;
        y[truth[i]] -= scale;
      }
  });
}

}  // namespace

void registerLoss() {
  registerOp("MaetokCrossEntropyGrad", {"logits: float", "bias: float", "labels: int32", "scale: float"},
             {"gradient: float"}, {"heads: int"}, kernel<crossEntropyGrad>);
}

}  // namespace maetok
