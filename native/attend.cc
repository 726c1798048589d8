/*
 * softmax(q kᵀ) v and its gradient, head by head: of the t × t matrices only some rows exist at a time, in a core's cache (Dao et al.
 * 2022, FlashAttention), whole ones, so that a softmax is found at once. The gradient makes them again from q and k, which takes less
 * time than to write and read them, and no memory.
 */
#include "packed.h"
#include "processor-panels.h"
#include "softmax.h"

#include <limits>

namespace maetok {
namespace {

/** Rows of the t × t matrices that are worked on together: a multiple of all panels' rows. */
constexpr int64_t ROWS = 96;

/** Queries, keys and values [n, h, t, d]; what comes of them is [n, t, h, d]. */
struct Heads {
  int64_t n, h, t, d;

  int64_t units() const { return n * h; }
  int64_t at(int64_t unit) const { return unit * t * d; }
  /** Where a head's first row is in [n, t, h, d], whose rows are `stride` apart. */
  int64_t joinedAt(int64_t unit) const { return (unit / h * t * h + unit % h) * d; }
  int64_t stride() const { return h * d; }
};

/** Some rows as lines. */
template <typename T>
Operand<T> someRows(const T* data, int64_t first, int64_t count, int64_t d, int64_t stride) {
  return {data + first * stride, count, d, true, stride};
}

/** The columns of some rows as lines. */
template <typename T>
Operand<T> columnsOf(const T* data, int64_t first, int64_t count, int64_t columns, int64_t stride) {
  return {data + first * stride, columns, count, false, stride};
}

/** What panels cannot hold makes all of its head NaN. */
template <typename T>
void voidRows(T* to, const Heads& heads, int64_t stride) {
  for (int64_t row = 0; row < heads.t; row++)
    for (int64_t c = 0; c < heads.d; c++) store(to + row * stride + c, std::numeric_limits<float>::quiet_NaN());
}

template <typename Panels, typename T>
void attendHead(const Heads& heads, int64_t unit, const T* q, const T* k, const T* v, T* mixed) {
  const auto [n, h, t, d] = heads;
  const int64_t rows = std::min(ROWS, t), at = heads.at(unit), stride = heads.stride();
  Packed<Panels, true> queries, weights;
  Packed<Panels, false> keys, values;
  Sums scores, sums;
  planned(groupRoom(), [&, t = t, d = d](Parts& parts) {
    keys.reserve(parts, t, d);
    values.reserve(parts, d, t);
    queries.reserve(parts, rows, d);
    weights.reserve(parts, rows, t);
    reserveSums<Panels>(parts, scores, rows, t);
    reserveSums<Panels>(parts, sums, rows, d);
  });
  keys.pack(someRows(k + at, 0, t, d, d));
  values.pack(columnsOf(v + at, 0, t, d, d));
  T* to = mixed + heads.joinedAt(unit);
  for (int64_t first = 0; first < t; first += rows) {
    const int64_t count = std::min(rows, t - first);
    queries.pack(someRows(q + at, first, count, d, d));
    multiplyPacked<false>(queries, keys, scores);
    float factors[ROWS];
    for (int64_t i = 0; i < count; i++) factors[i] = softmaxRow(scores.row(i), t, scores.row(i));
    weights.pack(someRows(scores.data, 0, count, t, scores.stride));
    multiplyPacked<false>(weights, values, sums);
    for (int64_t i = 0; i < count; i++)
#pragma omp simd
      for (int64_t c = 0; c < d; c++) store(to + (first + i) * stride + c, sums.row(i)[c] * factors[i]);
  }
  if (keys.odd || values.odd || queries.odd || weights.odd) voidRows(to, heads, stride);
}

template <typename Panels, typename T>
void attendHeadGrad(const Heads& heads, int64_t unit, const T* dMixed, const T* q, const T* k, const T* v, T* dq, T* dk,
                    T* dv) {
  const auto [n, h, t, d] = heads;
  const int64_t rows = std::min(ROWS, t), at = heads.at(unit), stride = heads.stride();
  const T* dy = dMixed + heads.joinedAt(unit);
  // A left operand for each of the rows' matrices as such, and turned; right ones for all keys and values, and for some rows.
  Packed<Panels, true> some, turned;
  Packed<Panels, false> keys, values, keyColumns, columns;
  Sums weights, slopes, dQueries, dKeys, dValues;
  planned(groupRoom(), [&, t = t, d = d](Parts& parts) {
    keys.reserve(parts, t, d);
    values.reserve(parts, t, d);
    keyColumns.reserve(parts, d, t);
    columns.reserve(parts, d, rows);
    some.reserve(parts, rows, std::max(t, d));
    turned.reserve(parts, t, rows);
    reserveSums<Panels>(parts, weights, rows, t);
    reserveSums<Panels>(parts, slopes, rows, t);
    reserveSums<Panels>(parts, dQueries, rows, d);
    reserveSums<Panels>(parts, dKeys, t, d);
    reserveSums<Panels>(parts, dValues, t, d);
  });
  keys.pack(someRows(k + at, 0, t, d, d));
  values.pack(someRows(v + at, 0, t, d, d));
  keyColumns.pack(columnsOf(k + at, 0, t, d, d));
  const auto addTo = [&](const Sums& sums, bool first) {
    first ? multiplyPacked<false>(turned, columns, sums) : multiplyPacked<true>(turned, columns, sums);
  };
  for (int64_t first = 0; first < t; first += rows) {
    const int64_t count = std::min(rows, t - first);
    some.pack(someRows(q + at, first, count, d, d));
    multiplyPacked<false>(some, keys, weights);
    some.pack(someRows(dy, first, count, d, stride));
    multiplyPacked<false>(some, values, slopes);
    for (int64_t i = 0; i < count; i++) {
      float *p = weights.row(i), *s = slopes.row(i);
      const float factor = softmaxRow(p, t, p);
      float inner = 0;
#pragma omp simd reduction(+ : inner)
      for (int64_t c = 0; c < t; c++) {
        p[c] *= factor;
        inner += p[c] * s[c];
      }
#pragma omp simd
      for (int64_t c = 0; c < t; c++) s[c] = p[c] * (s[c] - inner);
    }
    turned.pack(columnsOf(weights.data, 0, count, t, weights.stride));
    columns.pack(columnsOf(dy, first, count, d, stride));
    addTo(dValues, first == 0);
    turned.pack(columnsOf(slopes.data, 0, count, t, slopes.stride));
    columns.pack(columnsOf(q + at, first, count, d, d));
    addTo(dKeys, first == 0);
    some.pack(someRows(slopes.data, 0, count, t, slopes.stride));
    multiplyPacked<false>(some, keyColumns, dQueries);
    for (int64_t i = 0; i < count; i++)
#pragma omp simd
      for (int64_t c = 0; c < d; c++) store(dq + at + (first + i) * d + c, dQueries.row(i)[c]);
  }
  for (int64_t i = 0; i < t; i++)
#pragma omp simd
    for (int64_t c = 0; c < d; c++) {
      store(dk + at + i * d + c, dKeys.row(i)[c]);
      store(dv + at + i * d + c, dValues.row(i)[c]);
    }
  if (some.odd || turned.odd || keys.odd || values.odd || keyColumns.odd || columns.odd)
    for (T* to : {dq, dk, dv}) voidRows(to + at, heads, d);
}

/** Calls head(panels, unit) for all heads, on all threads. */
template <typename T, typename Body>
void overHeads(const Heads& heads, Body head) {
  withPanels<std::is_same<T, float>::value>([&](auto panels) {
    using Panels = decltype(panels);
    parallel(heads.units(), heads.units() * heads.t * heads.t, [&](int64_t begin, int64_t end) {
      Panels::begin();
      for (int64_t unit = begin; unit < end; unit++) head(panels, unit);
      Panels::end();
    });
  });
}

Heads headsOf(const TF_Tensor* q) {
  const std::vector<int64_t> shape = shapeOf(q);
  require(shape.size() == 4, "queries are [n, h, t, d]");
  return {shape[0], shape[1], shape[2], shape[3]};
}

/** q, k, v [n, h, t, d] → [n, t, h, d]. */
void attend(Call& call, const Attributes&) {
  TF_Tensor* q = call.input(0);
  TF_Tensor* k = call.input(1);
  TF_Tensor* v = call.input(2);
  const Heads heads = headsOf(q);
  require(shapeOf(k) == shapeOf(q) && shapeOf(v) == shapeOf(q), "queries, keys and values have one shape");
  TF_Tensor* mixed = call.output(0, TF_TensorType(q), {heads.n, heads.t, heads.h, heads.d});
  if (sizeOf(q) == 0) return;
  withType(TF_TensorType(q), [&](auto type) {
    using T = decltype(type);
    overHeads<T>(heads, [&](auto panels, int64_t unit) {
      attendHead<decltype(panels)>(heads, unit, dataOf<T>(q), dataOf<T>(k), dataOf<T>(v), dataOf<T>(mixed));
    });
  });
}

/** From the gradient of what `attend` gives, and q, k and v: theirs. */
void attendGrad(Call& call, const Attributes&) {
  TF_Tensor* inputs[4];
  for (int i = 0; i < 4; i++) inputs[i] = call.input(i);
  const Heads heads = headsOf(inputs[1]);
  require(sizeOf(inputs[0]) == sizeOf(inputs[1]) && shapeOf(inputs[2]) == shapeOf(inputs[1]) &&
              shapeOf(inputs[3]) == shapeOf(inputs[1]),
          "queries, keys and values have one shape");
  TF_Tensor* outputs[3];
  for (int i = 0; i < 3; i++) outputs[i] = call.output(i, TF_TensorType(inputs[1]), shapeOf(inputs[1]));
  if (sizeOf(inputs[1]) == 0) return;
  withType(TF_TensorType(inputs[1]), [&](auto type) {
    using T = decltype(type);
    overHeads<T>(heads, [&](auto panels, int64_t unit) {
      attendHeadGrad<decltype(panels)>(heads, unit, dataOf<T>(inputs[0]), dataOf<T>(inputs[1]), dataOf<T>(inputs[2]),
                                       dataOf<T>(inputs[3]), dataOf<T>(outputs[0]), dataOf<T>(outputs[1]),
                                       dataOf<T>(outputs[2]));
    });
  });
}

}  // namespace

void registerAttend() {
  const char* T = "T: {float, bfloat16}";
  registerOp("MaetokAttend", {"q: T", "k: T", "v: T"}, {"mixed: T"}, {T}, kernel<attend>);
  registerOp("MaetokAttendGrad", {"d_mixed: T", "q: T", "k: T", "v: T"}, {"dq: T", "dk: T", "dv: T"}, {T},
             kernel<attendGrad>);
}

}  // namespace maetok
