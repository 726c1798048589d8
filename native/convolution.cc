/*
 * Convolution with filters of 3 × 3 by Winograd's minimal filtering F(4×4, 3×3) (Lavin & Gray 2016): 36 multiplications
 * where the definition has 144. An image is cut into tiles of 6 × 6 that overlap by 2; tiles and filters are transformed,
 * multiplied channel by channel for each of the 36 places (TensorFlow's product of matrices), and transformed back.
 *
 * Interpolation at 0, ±√½, ±√2 and infinity, which are symmetric, so that the transforms need few multiplications. In
 * float32 the result is off by 1e-6 to 2e-6 of its spread, about five times as far as a direct sum.
 */
#include "runtime.h"

namespace maetok {
namespace {

constexpr int64_t OUTER = 6;
constexpr int64_t INNER = 4;
constexpr int64_t PLACES = OUTER * OUTER;
/** Channels that are transformed together, two vector registers of AVX2. */
constexpr int64_t LANES = 16;
constexpr float NEAR = 0.70710678118654752f;
constexpr float FAR = 1.41421356237309505f;

using Lanes = float[LANES];

/** One axis of a tile, as values of the polynomial at the points; `step` between neighbours. */
inline void transformInput(const Lanes* d, int64_t step, Lanes* v) {
#pragma omp simd
  for (int64_t k = 0; k < LANES; k++) {
    const float d0 = d[0][k], d1 = d[step][k], d2 = d[2 * step][k], d3 = d[3 * step][k], d4 = d[4 * step][k];
    const float d5 = d[5 * step][k];
    const float evenNear = d4 - 2.0f * d2, oddNear = NEAR * (d3 - 2.0f * d1);
    const float evenFar = d4 - 0.5f * d2, oddFar = FAR * (d3 - 0.5f * d1);
    v[0][k] = d0 - 2.5f * d2 + d4;
    v[step][k] = evenNear + oddNear;
    v[2 * step][k] = evenNear - oddNear;
    v[3 * step][k] = evenFar + oddFar;
    v[4 * step][k] = evenFar - oddFar;
    v[5 * step][k] = d1 - 2.5f * d3 + d5;
  }
}

/** Six products of one axis → four outputs. */
inline void transformOutput(const Lanes* m, int64_t step, Lanes* y, int64_t yStep) {
#pragma omp simd
  for (int64_t k = 0; k < LANES; k++) {
    const float m1 = m[step][k], m2 = m[2 * step][k], m3 = m[3 * step][k], m4 = m[4 * step][k];
    const float evenNear = m1 + m2, oddNear = NEAR * (m1 - m2), evenFar = m3 + m4, oddFar = FAR * (m3 - m4);
    y[0][k] = m[0][k] + evenNear + evenFar;
    y[yStep][k] = oddNear + oddFar;
    y[2 * yStep][k] = 0.5f * evenNear + 2.0f * evenFar;
    y[3 * yStep][k] = 0.5f * oddNear + 2.0f * oddFar + m[5 * step][k];
  }
}

/** Tiles of outputs [n, height, width], row by row. */
struct Tiles {
  int64_t height, width;
  int64_t down() const { return (height + INNER - 1) / INNER; }
  int64_t across() const { return (width + INNER - 1) / INNER; }
  int64_t image(int64_t tile) const { return tile / (down() * across()); }
  int64_t top(int64_t tile) const { return tile / across() % down() * INNER; }
  int64_t left(int64_t tile) const { return tile % across() * INNER; }
};

/** The tiles that a call is about: [first, first + count). */
struct Strip {
  int64_t first, count;
};

Strip stripOf(const TF_Tensor* tensor) {
  require(sizeOf(tensor) == 2, "a strip has a first tile and a count");
  const int32_t* numbers = dataOf<int32_t>(tensor);
  return {numbers[0], numbers[1]};
}

inline void copyLanes(const float* from, int64_t lanes, float* to) {
  if (lanes == LANES)
    std::memcpy(to, from, sizeof(Lanes));
  else
    std::memcpy(to, from, lanes * sizeof(float));
}

/**
 * Transformed tiles of an image [n, h, w, c] with zeros around it, `top` rows and `left` columns of them before it, for
 * outputs of `height` × `width`; of the tiles in `strip` → [36, count, c].
 */
void winogradInput(Call& call, const Attributes& attributes) {
  TF_Tensor* x = call.input(0);
  const Strip strip = stripOf(call.input(1));
  const std::vector<int64_t> shape = shapeOf(x);
  require(shape.size() == 4, "an image has four axes");
  const int64_t h = shape[1], w = shape[2], c = shape[3];
  const Tiles tiles{attributes.height, attributes.width};
  const int64_t top = attributes.top, left = attributes.left;
  require(strip.first >= 0 && tiles.image(strip.first + strip.count - 1) < shape[0], "no such tiles");
  TF_Tensor* v = call.output(0, TF_FLOAT, {PLACES, strip.count, c});
  const float* image = dataOf<float>(x);
  float* to = dataOf<float>(v);
  parallel(strip.count, PLACES * strip.count * c, [=](int64_t begin, int64_t end) {
    Lanes d[PLACES] = {};
    for (int64_t at = begin; at < end; at++) {
      const int64_t tile = strip.first + at;
      const int64_t row = tiles.top(tile) - top, column = tiles.left(tile) - left;
      const float* own = image + tiles.image(tile) * h * w * c;
      for (int64_t channel = 0; channel < c; channel += LANES) {
        const int64_t lanes = std::min(LANES, c - channel);
        for (int64_t i = 0; i < OUTER; i++)
          for (int64_t j = 0; j < OUTER; j++) {
            const int64_t y = row + i, z = column + j;
            if (y >= 0 && y < h && z >= 0 && z < w)
              copyLanes(own + (y * w + z) * c + channel, lanes, d[i * OUTER + j]);
            else
              std::memset(d[i * OUTER + j], 0, sizeof(Lanes));
          }
        for (int64_t j = 0; j < OUTER; j++) transformInput(d + j, OUTER, d + j);
        for (int64_t i = 0; i < OUTER; i++) transformInput(d + i * OUTER, 1, d + i * OUTER);
        for (int64_t place = 0; place < PLACES; place++)
          copyLanes(d[place], lanes, to + (place * strip.count + at) * c + channel);
      }
    }
  });
}

/** From the products [36, count, c] of the tiles in `strip` and a bias [c] or none: those outputs, written into y. */
void winogradOutput(Call& call, const Attributes&) {
  TF_Tensor* products = call.input(0);
  TF_Tensor* bias = call.input(1);
  const Strip strip = stripOf(call.input(2));
  TF_Tensor* y = call.input(3);
  const std::vector<int64_t> shape = shapeOf(y);
  require(shape.size() == 4, "an image has four axes");
  const int64_t height = shape[1], width = shape[2], c = shape[3];
  const Tiles tiles{height, width};
  require(sizeOf(products) == PLACES * strip.count * c, "the products do not fit the tiles");
  require(sizeOf(bias) == 0 || sizeOf(bias) == c, "the bias has another width");
  require(strip.first >= 0 && tiles.image(strip.first + strip.count - 1) < shape[0], "no such tiles");
  const float* m = dataOf<float>(products);
  const float* b = optional(bias);
  float* image = dataOf<float>(y);
  parallel(strip.count, PLACES * strip.count * c, [=](int64_t begin, int64_t end) {
    Lanes d[PLACES] = {}, half[INNER * OUTER], out[INNER * INNER], shift = {};
    for (int64_t at = begin; at < end; at++) {
      const int64_t tile = strip.first + at;
      const int64_t row = tiles.top(tile), column = tiles.left(tile);
      float* own = image + tiles.image(tile) * height * width * c;
      for (int64_t channel = 0; channel < c; channel += LANES) {
        const int64_t lanes = std::min(LANES, c - channel);
        if (b) copyLanes(b + channel, lanes, shift);
        for (int64_t place = 0; place < PLACES; place++)
          copyLanes(m + (place * strip.count + at) * c + channel, lanes, d[place]);
        for (int64_t j = 0; j < OUTER; j++) transformOutput(d + j, OUTER, half + j, OUTER);
        for (int64_t i = 0; i < INNER; i++) transformOutput(half + i * OUTER, 1, out + i * INNER, 1);
        const int64_t rows = std::min(INNER, height - row), columns = std::min(INNER, width - column);
        for (int64_t i = 0; i < rows; i++)
          for (int64_t j = 0; j < columns; j++) {
            float* value = out[i * INNER + j];
#pragma omp simd
            for (int64_t k = 0; k < LANES; k++) value[k] += shift[k];
            copyLanes(value, lanes, own + ((row + i) * width + column + j) * c + channel);
          }
      }
    }
  });
}

}  // namespace

void registerConvolution() {
  registerOp("MaetokWinogradInput", {"x: float", "strip: int32"}, {"v: float"},
             {"height: int", "width: int", "top: int", "left: int"}, kernel<winogradInput>);
  registerOp("MaetokWinogradOutput", {"products: float", "bias: float", "strip: int32", "y: float"}, {}, {},
             kernel<winogradOutput>);
}

}  // namespace maetok
