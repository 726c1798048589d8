/* Second moments of rows: sums of products of all pairs of columns, of which only half are made, since the other half is their mirror. */
#include "packed.h"
#include "processor-panels.h"

namespace maetok {
namespace {

/** Columns of one task's two sides, a multiple of all panels' lines: what is packed of one, and the sums, stay in a core's cache. */
constexpr int64_t STRIP = 192;

/** (sum + limit) − limit: a multiple of about 2⁻⁵³ of the limit, see src/pca/centre.ts. */
inline double rounded(double sum, double limit) { return sum + limit - limit; }

/** Rows [count, width], and what is summed of them. */
struct Moments {
  int64_t count, width;
  const float* rows;
  const double *centre, *sumLimits, *limits;
  double *sums, *products;

  int64_t strips() const { return pieces(width, STRIP); }
  int64_t columns(int64_t strip) const { return std::min(STRIP, width - strip * STRIP); }
};

/** Every strip's columns, packed as either operand, in stretches of rows that are summed at once. */
template <typename Panels>
class Strips {
 public:
  explicit Strips(const Moments& moments)
      : moments_(moments),
        stretches_(pieces(moments.count, STRETCH)),
        left_(moments.strips() * stretches_),
        right_(left_.size()) {
    planned(commonRoom(), [&](Parts& parts) {
      for (auto& packed : left_) packed.reserve(parts, STRIP, STRETCH);
      for (auto& packed : right_) packed.reserve(parts, STRIP, STRETCH);
    });
  }

  /** Takes the centre from a strip's columns, adds up what is left in the rows' order, and packs it. */
  void take(int64_t strip) {
    const Moments& m = moments_;
    const int64_t first = strip * STRIP, columns = m.columns(strip);
    const double* centre = m.centre + first;
    double sums[STRIP] = {};
    float* centred = otherRoom().of<float>(STRETCH * STRIP);
    for (int64_t i = 0; i < stretches_; i++) {
      const int64_t begin = i * STRETCH, count = std::min(STRETCH, m.count - begin);
      for (int64_t row = 0; row < count; row++) {
        const float* x = m.rows + (begin + row) * m.width + first;
#pragma omp simd
        for (int64_t c = 0; c < columns; c++) {
          const double rest = x[c] - centre[c];
          sums[c] += rest;
          centred[row * STRIP + c] = static_cast<float>(rest);
        }
      }
      // Numbers that panels cannot hold are infinite or none, which the sums tell.
      const Operand<float> packed{centred, columns, count, false, STRIP};
      left_[strip * stretches_ + i].pack(packed);
      right_[strip * stretches_ + i].pack(packed);
    }
    for (int64_t c = 0; c < columns; c++) m.sums[first + c] += rounded(sums[c], m.sumLimits[first + c]);
  }

  /** Adds the products of two strips' columns, j ≤ i, on and left of the diagonal. */
  void multiply(int64_t i, int64_t j) const {
    const Moments& m = moments_;
    const Sums sums{groupRoom().of<float>(STRIP * STRIP), STRIP};
    for (int64_t stretch = 0; stretch < stretches_; stretch++) {
      const auto &left = left_[i * stretches_ + stretch];
      const auto &right = right_[j * stretches_ + stretch];
      stretch == 0 ? multiplyPacked<false>(left, right, sums, i == j) : multiplyPacked<true>(left, right, sums, i == j);
    }
    for (int64_t row = 0; row < m.columns(i); row++) {
      const int64_t columns = i == j ? row + 1 : m.columns(j);
      double* to = m.products + (i * STRIP + row) * m.width + j * STRIP;
      // By themselves: a compiler would make one operation of a product and the sum that follows, whose last bits are others.
      double limits[STRIP];
      for (int64_t c = 0; c < columns; c++) limits[c] = m.limits[i * STRIP + row] * m.limits[j * STRIP + c];
      for (int64_t c = 0; c < columns; c++) to[c] += rounded(sums.row(row)[c], limits[c]);
    }
  }

 private:
  static constexpr int64_t STRETCH = Panels::USUAL_STEPS * Panels::DEPTH;

  const Moments& moments_;
  const int64_t stretches_;
  std::vector<Packed<Panels, true>> left_;
  std::vector<Packed<Panels, false>> right_;
};

/**
 * Adds to `sums` [w] and, on and left of the diagonal, to `products` [w, w] those of rows [n, w] about a centre [w], in place and
 * rounded by limits [w].
 */
void moments(Call& call, const Attributes&) {
  TF_Tensor* rows = call.input(0);
  const auto [width, count] = rowsOf(rows);
  const auto numbers = [&](int index, int64_t size) {
    TF_Tensor* tensor = call.input(index);
    require(TF_TensorType(tensor) == TF_DOUBLE && sizeOf(tensor) == size, "as many numbers as the rows have expected");
    return dataOf<double>(tensor);
  };
  const Moments all{count, width, dataOf<float>(rows), numbers(1, width), numbers(2, width), numbers(3, width),
                    numbers(4, width), numbers(5, width * width)};
  std::vector<std::pair<int64_t, int64_t>> pairs;
  for (int64_t i = 0; i < all.strips(); i++)
    for (int64_t j = 0; j <= i; j++) pairs.push_back({i, j});
  withPanels<true>([&](auto panels) {
    using Panels = decltype(panels);
    Strips<Panels> strips(all);
    parallel(all.strips(), all.count * all.width, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; i++) strips.take(i);
    });
    parallel(pairs.size(), all.count * all.width * all.width, [&](int64_t begin, int64_t end) {
      Panels::begin();
      for (int64_t p = begin; p < end; p++) strips.multiply(pairs[p].first, pairs[p].second);
      Panels::end();
    });
  });
}

}  // namespace

void registerMoments() {
  registerOp("MaetokMoments",
             {"rows: float", "centre: double", "sum_limits: double", "limits: double", "sums: double",
              "products: double"},
             {}, {}, kernel<moments>);
}

}  // namespace maetok
