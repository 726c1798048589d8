/* Layer normalisation with gains and shifts for all rows, for each image, or none; root-mean-square normalisation. */
#include <cmath>

#include "functions.h"
#include "runtime.h"

namespace maetok {
namespace {

/**
 * How the rows [r, c] share the g gains: each serves r / g rows that follow one another; or, where `last` is not 0, each
 * serves one row, and only the last so many of every image's `tokens` rows have one.
 */
struct Layout {
  int64_t width, rows, groups, perGroup, tokens, last;

  /** Where the row's gains begin; −1 if it has none. */
  int64_t gainsOf(int64_t row) const {
    if (last == 0) return row / perGroup * width;
    const int64_t place = row % tokens - (tokens - last);
    return place < 0 ? -1 : (row / tokens * last + place) * width;
  }
};

Layout layoutOf(const TF_Tensor* x, const TF_Tensor* gain, int64_t last) {
  const std::vector<int64_t> shape = shapeOf(x);
  Layout layout{};
  layout.width = shape.back();
  layout.last = last;
  require(layout.width > 0 && sizeOf(x) > 0, "nothing to normalise");
  layout.rows = sizeOf(x) / layout.width;
  if (last > 0) {
    require(shape.size() == 3 && last <= shape[1] && sizeOf(gain) == shape[0] * last * layout.width,
            "the gains do not fit the last tokens");
    layout.tokens = shape[1];
    layout.groups = shape[0] * last;
    return layout;
  }
  layout.groups = sizeOf(gain) > 0 ? sizeOf(gain) / layout.width : 1;
  require(layout.groups > 0 && (sizeOf(gain) == 0 || layout.groups * layout.width == sizeOf(gain)) &&
              layout.rows % layout.groups == 0,
          "the gains do not fit the rows");
  layout.perGroup = layout.rows / layout.groups;
  return layout;
}

/**
 * y = (x − mean) / √(variance + eps) ∘ (offset + gain) + shift over the last axis (Ba et al. 2016). x [..., c]; gain
 * and shift [g, c] or none → y of `Tout`, and mean and reciprocal deviation of every row [r, 2].
 */
void layerNorm(Call& call, const Attributes& attributes) {
  TF_Tensor* x = call.input(0);
  TF_Tensor* gain = call.input(1);
  TF_Tensor* shift = call.input(2);
  const Layout layout = layoutOf(x, gain, attributes.last);
  require(sizeOf(shift) == 0 || sizeOf(shift) == layout.groups * layout.width, "the shifts do not fit the gains");
  TF_Tensor* y = call.output(0, attributes.out, shapeOf(x));
  TF_Tensor* statistics = call.output(1, TF_FLOAT, {layout.rows, 2});
  const float* from = dataOf<float>(x);
  const float* gains = optional(gain);
  const float* shifts = optional(shift);
  float* kept = dataOf<float>(statistics);
  const float eps = attributes.eps, offset = attributes.offset;
  withType(attributes.out, [&](auto type) {
    using T = decltype(type);
    T* to = dataOf<T>(y);
    parallel(layout.rows, sizeOf(x), [=](int64_t begin, int64_t end) {
      const int64_t width = layout.width;
      for (int64_t row = begin; row < end; row++) {
        const float* xr = from + row * width;
        float sum = 0;
#pragma omp simd reduction(+ : sum)
        for (int64_t c = 0; c < width; c++) sum += xr[c];
        const float mean = sum / width;
        float squares = 0;
#pragma omp simd reduction(+ : squares)
        for (int64_t c = 0; c < width; c++) squares += (xr[c] - mean) * (xr[c] - mean);
        const float scale = 1.0f / std::sqrt(squares / width + eps);
        kept[2 * row] = mean;
        kept[2 * row + 1] = scale;
        T* yr = to + row * width;
        const int64_t own = layout.gainsOf(row);
        const float* g = gains && own >= 0 ? gains + own : nullptr;
        const float* s = shifts && own >= 0 ? shifts + own : nullptr;
        if (g && s)
#pragma omp simd
          for (int64_t c = 0; c < width; c++) store(yr + c, (xr[c] - mean) * scale * (offset + g[c]) + s[c]);
        else if (g)
#pragma omp simd
          for (int64_t c = 0; c < width; c++) store(yr + c, (xr[c] - mean) * scale * (offset + g[c]));
        else
#pragma omp simd
          for (int64_t c = 0; c < width; c++) store(yr + c, (xr[c] - mean) * scale);
      }
    });
  });
}

/** From dy, x, the statistics and the gain: dx, and the gradients of gain and shift [g, c] (empty without a gain). */
void layerNormGrad(Call& call, const Attributes& attributes) {
  TF_Tensor* dy = call.input(0);
  TF_Tensor* x = call.input(1);
  TF_Tensor* statistics = call.input(2);
  TF_Tensor* gain = call.input(3);
  const Layout layout = layoutOf(x, gain, attributes.last);
  require(sizeOf(dy) == sizeOf(x) && sizeOf(statistics) == 2 * layout.rows, "the gradient does not fit the values");
  TF_Tensor* dx = call.output(0, TF_FLOAT, shapeOf(x));
  TF_Tensor* dGain = call.output(1, TF_FLOAT, shapeOf(gain));
  TF_Tensor* dShift = call.output(2, TF_FLOAT, shapeOf(gain));
  const float* dyData = dataOf<float>(dy);
  const float* xData = dataOf<float>(x);
  const float* kept = dataOf<float>(statistics);
  const float* gains = optional(gain);
  float* to = dataOf<float>(dx);
  const float offset = attributes.offset;
  const int64_t width = layout.width;

  /** One row: dx, and where there is a gain, this row's part of the sums for gain and shift. */
  const auto oneRow = [=](int64_t row, const float* g, float* gainSums, float* shiftSums) {
    const float* dyr = dyData + row * width;
    const float* xr = xData + row * width;
    float* dxr = to + row * width;
    const float mean = kept[2 * row], scale = kept[2 * row + 1];
    float sum = 0, projection = 0;
    if (g) {
#pragma omp simd reduction(+ : sum, projection)
      for (int64_t c = 0; c < width; c++) {
        const float normal = (xr[c] - mean) * scale;
        const float inner = dyr[c] * (offset + g[c]);
        sum += inner;
        projection += inner * normal;
        gainSums[c] += dyr[c] * normal;
        shiftSums[c] += dyr[c];
      }
    } else {
#pragma omp simd reduction(+ : sum, projection)
      for (int64_t c = 0; c < width; c++) {
        sum += dyr[c];
        projection += dyr[c] * (xr[c] - mean) * scale;
      }
    }
    sum /= width;
    projection /= width;
    if (g)
#pragma omp simd
      for (int64_t c = 0; c < width; c++)
        dxr[c] = (dyr[c] * (offset + g[c]) - sum - (xr[c] - mean) * scale * projection) * scale;
    else
#pragma omp simd
      for (int64_t c = 0; c < width; c++) dxr[c] = (dyr[c] - sum - (xr[c] - mean) * scale * projection) * scale;
  };

  if (!gains) {
    parallel(layout.rows, sizeOf(x), [=](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; row++) oneRow(row, nullptr, nullptr, nullptr);
    });
    return;
  }
  float* gainGradient = dataOf<float>(dGain);
  float* shiftGradient = dataOf<float>(dShift);
  if (layout.last > 0) {
    parallel(layout.rows, sizeOf(x), [=](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; row++) {
        const int64_t own = layout.gainsOf(row);
        if (own < 0) {
          oneRow(row, nullptr, nullptr, nullptr);
          continue;
        }
        std::memset(gainGradient + own, 0, width * sizeof(float));
        std::memset(shiftGradient + own, 0, width * sizeof(float));
        oneRow(row, gains + own, gainGradient + own, shiftGradient + own);
      }
    });
    return;
  }
  if (layout.groups == 1) {
    std::vector<float> both(2 * width);
    parallelSums(layout.rows, sizeOf(x), 2 * width, both.data(), [=](int64_t begin, int64_t end, float* sums) {
      for (int64_t row = begin; row < end; row++) oneRow(row, gains, sums, sums + width);
    });
    std::memcpy(gainGradient, both.data(), width * sizeof(float));
    std::memcpy(shiftGradient, both.data() + width, width * sizeof(float));
    return;
  }
  parallel(layout.groups, sizeOf(x), [=](int64_t begin, int64_t end) {
    for (int64_t group = begin; group < end; group++) {
      float* gainSums = gainGradient + group * width;
      float* shiftSums = shiftGradient + group * width;
#pragma omp simd
      for (int64_t c = 0; c < width; c++) gainSums[c] = shiftSums[c] = 0;
      for (int64_t row = group * layout.perGroup; row < (group + 1) * layout.perGroup; row++)
        oneRow(row, gains + group * width, gainSums, shiftSums);
    }
  });
}

/** y = f(x / √(mean of x² + eps) ∘ gain) over the last axis (Zhang & Sennrich 2019). x [..., c], gain [c] → y. */
void rmsNorm(Call& call, const Attributes& attributes) {
  TF_Tensor* x = call.input(0);
  TF_Tensor* gain = call.input(1);
  const int64_t width = rowsOf(x).width, rows = rowsOf(x).count;
  require(sizeOf(gain) == width, "the gain has another width");
  TF_Tensor* y = call.output(0, TF_FLOAT, shapeOf(x));
  const float* from = dataOf<float>(x);
  const float* g = dataOf<float>(gain);
  float* to = dataOf<float>(y);
  const float eps = attributes.eps;
  withActivation(attributes.activation, [&](auto f) {
    using F = decltype(f);
    parallel(rows, sizeOf(x), [=](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; row++) {
        const float* xr = from + row * width;
        float* yr = to + row * width;
        float squares = 0;
#pragma omp simd reduction(+ : squares)
        for (int64_t c = 0; c < width; c++) squares += xr[c] * xr[c];
        const float scale = 1.0f / std::sqrt(squares / width + eps);
#pragma omp simd
        for (int64_t c = 0; c < width; c++) yr[c] = F::value(xr[c] * scale * g[c]);
      }
    });
  });
}

}  // namespace

void registerNormalisation() {
  registerOp("MaetokLayerNorm", {"x: float", "gain: float", "shift: float"}, {"y: Tout", "statistics: float"},
             {"Tout: {float, bfloat16}", "eps: float", "offset: float", "last: int"}, kernel<layerNorm>);
  registerOp("MaetokLayerNormGrad", {"dy: float", "x: float", "statistics: float", "gain: float"},
             {"dx: float", "d_gain: float", "d_shift: float"}, {"offset: float", "last: int"}, kernel<layerNormGrad>);
  registerOp("MaetokRmsNorm", {"x: float", "gain: float"}, {"y: float"}, {"eps: float", "activation: int"},
             kernel<rmsNorm>);
}

}  // namespace maetok
