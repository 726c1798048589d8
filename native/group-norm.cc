/* Group normalisation and the activation that follows it, in two passes over memory: sums, then values. */
#include <cmath>

#include "functions.h"
#include "runtime.h"

namespace maetok {
namespace {

/** Pixels that are summed up before their sums are added to those of others, which keeps small what rounding loses. */
constexpr int64_t BLOCK = 64;

/**
 * Mean and reciprocal deviation of every group of channels of an image [pixels, c]. Sums are taken about the image's
 * first pixel, so that a large mean costs no digits.
 */
void groupStatistics(const float* image, int64_t pixels, int64_t c, int64_t groups, float eps, float* mean,
                     float* scale) {
  std::vector<float> sums(2 * c);
  parallelSums(pixels, pixels * c, 2 * c, sums.data(), [=](int64_t begin, int64_t end, float* total) {
    std::vector<float> block(2 * c);
    float* sum = block.data();
    float* squares = sum + c;
    for (int64_t first = begin; first < end; first += BLOCK) {
      std::fill(block.begin(), block.end(), 0.0f);
      for (int64_t pixel = first; pixel < std::min(end, first + BLOCK); pixel++) {
        const float* x = image + pixel * c;
#pragma omp simd
        for (int64_t k = 0; k < c; k++) {
          const float apart = x[k] - image[k];
          sum[k] += apart;
          squares[k] += apart * apart;
        }
      }
#pragma omp simd
      for (int64_t k = 0; k < 2 * c; k++) total[k] += sum[k];
    }
  });
  const int64_t width = c / groups;
  for (int64_t group = 0; group < groups; group++) {
    double whole = 0, squares = 0;
    for (int64_t k = group * width; k < (group + 1) * width; k++) whole += image[k] + sums[k] / double(pixels);
    const double centre = whole / width;
    for (int64_t k = group * width; k < (group + 1) * width; k++) {
      // Σ (x − m)² = Σ (x − a)² − 2 (m − a) Σ (x − a) + N (m − a)².
      const double shift = centre - image[k];
      squares += sums[c + k] / double(pixels) - 2 * shift * (sums[k] / double(pixels)) + shift * shift;
    }
    mean[group] = float(centre);
    scale[group] = float(1 / std::sqrt(squares / width + eps));
  }
}

/** y = f(normal(x) ∘ gain + shift) over pixels and the channels of a group (Wu & He 2018). x [n, ..., c] → y. */
void groupNorm(Call& call, const Attributes& attributes) {
  TF_Tensor* x = call.input(0);
  TF_Tensor* gain = call.input(1);
  TF_Tensor* shift = call.input(2);
  const std::vector<int64_t> shape = shapeOf(x);
  const int64_t n = shape[0], c = shape.back(), groups = attributes.groups;
  require(sizeOf(x) > 0 && groups > 0 && c % groups == 0, "the channels do not divide into groups");
  require(sizeOf(gain) == c && sizeOf(shift) == c, "gains and shifts have another width");
  const int64_t pixels = sizeOf(x) / n / c;
  TF_Tensor* y = call.output(0, TF_FLOAT, shape);
  const float* gains = dataOf<float>(gain);
  const float* shifts = dataOf<float>(shift);
  std::vector<float> mean(groups), scale(groups), factors(c), offsets(c);
  for (int64_t image = 0; image < n; image++) {
    const float* from = dataOf<float>(x) + image * pixels * c;
    float* to = dataOf<float>(y) + image * pixels * c;
    groupStatistics(from, pixels, c, groups, attributes.eps, mean.data(), scale.data());
    for (int64_t k = 0; k < c; k++) {
      const int64_t group = k / (c / groups);
      factors[k] = scale[group] * gains[k];
      offsets[k] = shifts[k] - mean[group] * factors[k];
    }
    const float* factor = factors.data();
    const float* offset = offsets.data();
    withActivation(attributes.activation, [&](auto f) {
      using F = decltype(f);
      parallel(pixels, pixels * c, [=](int64_t begin, int64_t end) {
        for (int64_t pixel = begin; pixel < end; pixel++)
#pragma omp simd
          for (int64_t k = 0; k < c; k++)
            to[pixel * c + k] = F::value(from[pixel * c + k] * factor[k] + offset[k]);
      });
    });
  }
}

}  // namespace

void registerGroupNorm() {
  registerOp("MaetokGroupNorm", {"x: float", "gain: float", "shift: float"}, {"y: float"},
             {"groups: int", "eps: float", "activation: int"}, kernel<groupNorm>);
}

}  // namespace maetok
