/*
 * Exact nearest neighbours: a tile of inner products after the other, compared with what each query has found while it is in
 * the cache, so that distances are never written out. Products may be rounded; how far they can be off is known, and
 * every row that may be near enough is measured again in double precision.
 */
#include <cmath>
#include <limits>

#include "tiles.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace maetok {
namespace {

/** Rows of a block; a tile holds the products of two blocks. */
constexpr int64_t BLOCK = 32;
/** Blocks of queries that go through all rows together: they stay in a core's second cache. */
constexpr int64_t TOGETHER = 16;
constexpr float UNIT_ROUNDOFF = 5.9604645e-8f;  // 2⁻²⁴

/** How a kind of processor multiplies. Packed blocks are its own affair. */
struct Units {
  /** Floats that a packed block of rows of `width` numbers takes. */
  int64_t (*size)(int64_t width);
  /** A block of rows [BLOCK, width], as queries and as what they are compared with. */
  void (*packQueries)(const float* rows, int64_t width, float* packed);
  void (*packRows)(const float* rows, int64_t width, float* packed);
  /** Around the work of a thread. */
  void (*begin)();
  void (*end)();
  /** Inner products of two packed blocks, [BLOCK, BLOCK]. */
  void (*multiply)(const float* queries, const float* rows, int64_t width, float* products);
  /** Which of a query's products p_c, as bits, may be of rows near enough: p_c + norm · slack_c − half_c > least. */
  uint32_t (*above)(const float* products, float norm, const float* slack, const float* half, float least);
  /** How far a product may be off, as a part of both norms' product. */
  float (*error)(int64_t width);
};

void nothing() {}

/* Single precision, in vectors of any length. */

int64_t singleSize(int64_t width) { return BLOCK * width; }

/** Number by number, so that a vector holds those of several rows. */
void packSingle(const float* rows, int64_t width, float* packed) {
  for (int64_t j = 0; j < width; j++)
    for (int64_t r = 0; r < BLOCK; r++) packed[j * BLOCK + r] = rows[r * width + j];
}

/** A fused sum of `width` products, one rounding each. */
float singleError(int64_t width) { return (width + 1) * UNIT_ROUNDOFF; }

template <int LANES, int HEIGHT>
MAETOK_INLINED void multiplySingle(const float* queries, const float* rows, int64_t width, float* products) {
  typedef float Vector __attribute__((vector_size(LANES * 4), aligned(4), may_alias));
  for (int64_t top = 0; top < BLOCK; top += HEIGHT)
    for (int64_t left = 0; left < BLOCK; left += 2 * LANES) {
      Vector sums[HEIGHT][2] = {};
      for (int64_t j = 0; j < width; j++) {
        const Vector* columns = reinterpret_cast<const Vector*>(rows + j * BLOCK + left);
        const Vector near = columns[0], far = columns[1];
#pragma GCC unroll 16
        for (int r = 0; r < HEIGHT; r++) {
          const float x = queries[j * BLOCK + top + r];
          sums[r][0] += x * near;
          sums[r][1] += x * far;
        }
      }
      for (int r = 0; r < HEIGHT; r++) {
        Vector* to = reinterpret_cast<Vector*>(products + (top + r) * BLOCK + left);
        to[0] = sums[r][0];
        to[1] = sums[r][1];
      }
    }
}

#if !defined(__x86_64__)

void multiplyPlain(const float* queries, const float* rows, int64_t width, float* products) {
  multiplySingle<4, 4>(queries, rows, width, products);
}

uint32_t abovePlain(const float* products, float norm, const float* slack, const float* half, float least) {
  uint32_t bits = 0;
  for (int c = 0; c < BLOCK; c++) bits |= uint32_t(products[c] + norm * slack[c] - half[c] > least) << c;
  return bits;
}

const Units PLAIN = {singleSize, packSingle, packSingle, nothing, nothing, multiplyPlain, abovePlain, singleError};

#else

void multiplyAvx2(const float* queries, const float* rows, int64_t width, float* products) {
  multiplySingle<8, 4>(queries, rows, width, products);
}

uint32_t aboveAvx2(const float* products, float norm, const float* slack, const float* half, float least) {
  uint32_t bits = 0;
  for (int c = 0; c < BLOCK; c += 8) {
    const __m256 raised = _mm256_fmadd_ps(_mm256_set1_ps(norm), _mm256_loadu_ps(slack + c), _mm256_loadu_ps(products + c));
    const __m256 score = _mm256_sub_ps(raised, _mm256_loadu_ps(half + c));
    bits |= uint32_t(_mm256_movemask_ps(_mm256_cmp_ps(score, _mm256_set1_ps(least), _CMP_GT_OQ))) << c;
  }
  return bits;
}

const Units AVX2 = {singleSize, packSingle, packSingle, nothing, nothing, multiplyAvx2, aboveAvx2, singleError};

#define AVX512_CODE __attribute__((target("avx512f")))

AVX512_CODE void multiplyAvx512(const float* queries, const float* rows, int64_t width, float* products) {
  multiplySingle<16, 8>(queries, rows, width, products);
}

AVX512_CODE uint32_t aboveAvx512(const float* products, float norm, const float* slack, const float* half, float least) {
  uint32_t bits = 0;
  for (int c = 0; c < BLOCK; c += 16) {
    const __m512 raised = _mm512_fmadd_ps(_mm512_set1_ps(norm), _mm512_loadu_ps(slack + c), _mm512_loadu_ps(products + c));
    const __m512 score = _mm512_sub_ps(raised, _mm512_loadu_ps(half + c));
    bits |= uint32_t(_mm512_cmp_ps_mask(score, _mm512_set1_ps(least), _CMP_GT_OQ)) << c;
  }
  return bits;
}

const Units AVX512 = {singleSize, packSingle, packSingle, nothing, nothing, multiplyAvx512, aboveAvx512, singleError};

#endif

#if defined(MAETOK_AMX)

/*
 * Tiles of bfloat16: a number is the sum of two of them but for its last bits, and a product is that of both leading
 * parts and of either's leading part with the other's second.
 */

constexpr int64_t TILE_FLOATS = TILE_ROWS * TILE_NUMBERS / 2;

int64_t tilesAlong(int64_t width) { return (width + TILE_NUMBERS - 1) / TILE_NUMBERS; }

/** Per tile's worth of columns four tiles: the leading parts of the first and the second sixteen rows, then the other parts. */
int64_t tiledSize(int64_t width) { return tilesAlong(width) * 4 * TILE_FLOATS; }

/** `place(row, column)`: where a number is within its tile. */
template <typename Place>
void packTiles(const float* rows, int64_t width, float* packed, Place place) {
  std::fill(packed, packed + tiledSize(width), 0.0f);
  for (int64_t r = 0; r < BLOCK; r++)
    for (int64_t j = 0; j < width; j++) {
      auto* leading = reinterpret_cast<Bfloat16*>(packed + (j / TILE_NUMBERS * 4 + r / TILE_ROWS) * TILE_FLOATS);
      const int64_t at = place(r % TILE_ROWS, j % TILE_NUMBERS);
      const float x = rows[r * width + j];
      store(leading + at, x);
      store(leading + 2 * 2 * TILE_FLOATS + at, x - load(leading[at]));
    }
}

void packTileRows(const float* rows, int64_t width, float* packed) {
  packTiles(rows, width, packed, [](int64_t row, int64_t column) { return row * TILE_NUMBERS + column; });
}

/** As the second operand a tile has pairs of numbers for rows, and the rows for columns. */
void packTileColumns(const float* rows, int64_t width, float* packed) {
  packTiles(rows, width, packed,
            [](int64_t row, int64_t column) { return column / 2 * TILE_NUMBERS + 2 * row + column % 2; });
}

AMX_CODE void multiplyTiles(const float* queries, const float* rows, int64_t width, float* products) {
  asm volatile("" : : "r"(queries), "r"(rows) : "memory");
  clearSums();
  const float* ends = queries + tiledSize(width);
  for (const float *a = queries, *b = rows; a != ends; a += 4 * TILE_FLOATS, b += 4 * TILE_FLOATS) {
    loadLeft(a + 2 * TILE_FLOATS, a + 3 * TILE_FLOATS);
    loadRight(b, b + TILE_FLOATS);
    addProducts();
    loadLeft(a, a + TILE_FLOATS);
    addProducts();
    loadRight(b + 2 * TILE_FLOATS, b + 3 * TILE_FLOATS);
    addProducts();
  }
  storeSums(products, BLOCK);
  asm volatile("" : : : "memory");
}

/** Twice what the second part's rounding leaves, the product of both second parts (2⁻¹⁶ each), and the sum's roundings. */
float tiledError(int64_t width) { return 3 * 256 * UNIT_ROUNDOFF * 1.01f + 3 * (width + TILE_NUMBERS) * UNIT_ROUNDOFF; }

const Units AMX = {tiledSize, packTileRows,  packTileColumns, beginTiles,
                   endTiles,  multiplyTiles, aboveAvx512,     tiledError};

#endif

/** The widest units that the processor has, at most number `most` of them. */
const Units& unitsOf(int32_t most) {
#if defined(__x86_64__)
  if (most >= 1 && __builtin_cpu_supports("avx512f")) {
#if defined(MAETOK_AMX)
    if (most >= 2 && hasTiles()) return AMX;
#endif
    return AVX512;
  }
  return AVX2;
#else
  return PLAIN;
#endif
}

/** Rows about their mean, over a power of two, packed; and what a bound on their distances needs. */
struct Points {
  Points(const float* data, int64_t count, int64_t width, const Units& units)
      : data(data), count(count), width(width), units(units), blocks((count + BLOCK - 1) / BLOCK) {
    findCentre();
    const int64_t padded = blocks * BLOCK;
    norms.resize(padded);
    slack.resize(padded);
    half.resize(padded);
    packed.resize(blocks * units.size(width));
    const float error = units.error(width) * 1.01f + 8 * UNIT_ROUNDOFF;
    parallel(blocks, count * width, [&](int64_t begin, int64_t end) {
      std::vector<float> rows(BLOCK * width);
      for (int64_t block = begin; block < end; block++) {
        takeUp(block * BLOCK, rows.data());
        units.packRows(rows.data(), width, packed.data() + block * units.size(width));
        for (int64_t i = block * BLOCK; i < (block + 1) * BLOCK; i++) {
          const float norm = normOf(rows.data() + (i - block * BLOCK) * width);
          norms[i] = norm;
          slack[i] = error * norm;
          half[i] = i < count ? norm * norm * (0.5f - 16 * UNIT_ROUNDOFF) - TINY : std::numeric_limits<float>::infinity();
        }
      }
    });
  }

  /** A block of rows from `first` on, [BLOCK, width], zeros behind the last. */
  void takeUp(int64_t first, float* rows) const {
    std::fill(rows, rows + BLOCK * width, 0.0f);
    for (int64_t i = first; i < std::min(count, first + BLOCK); i++) {
      float* row = rows + (i - first) * width;
#pragma omp simd
      for (int64_t j = 0; j < width; j++) row[j] = (data[i * width + j] - centre[j]) * scale;
    }
  }

  /** What flushing the smallest numbers to zero may take from a product of numbers below one. */
  static constexpr float TINY = 1e-30f;

  const float* data;
  int64_t count, width;
  const Units& units;
  int64_t blocks;
  std::vector<float> centre;
  float scale = 1;
  std::vector<float> norms, slack, half, packed;

 private:
  float normOf(const float* row) const {
    double squares = 0;
#pragma omp simd reduction(+ : squares)
    for (int64_t j = 0; j < width; j++) squares += static_cast<double>(row[j]) * row[j];
    return static_cast<float>(std::sqrt(squares));
  }

  void findCentre() {
    std::vector<double> sums(width, 0.0);
    for (int64_t i = 0; i < count; i++)
#pragma omp simd
      for (int64_t j = 0; j < width; j++) sums[j] += data[i * width + j];
    for (double sum : sums) centre.push_back(static_cast<float>(sum / count));
    float largest = 0;
    for (int64_t i = 0; i < count; i++)
#pragma omp simd reduction(max : largest)
      for (int64_t j = 0; j < width; j++) largest = std::max(largest, std::fabs(data[i * width + j] - centre[j]));
    int exponent = 0;
    if (largest > 0 && std::isfinite(largest)) std::frexp(largest, &exponent);
    scale = std::ldexp(1.0f, std::max(-126, std::min(126, -exponent)));
  }
};

double squaredDistance(const float* a, const float* b, int64_t width) {
  double sum = 0;
#pragma omp simd reduction(+ : sum)
  for (int64_t j = 0; j < width; j++) {
    const double difference = static_cast<double>(a[j]) - b[j];
    sum += difference * difference;
  }
  return sum;
}

/** What a query has found: its nearest rows, of equally near ones those of lower numbers. */
class Nearest {
 public:
  Nearest(const Points& points, int64_t row, int64_t k)
      : points_(points), row_(row), norm_(points.norms[row]), squares_(k, INFINITY), rows_(k, 0) {}

  float norm() const { return norm_; }
  /** A row whose score is not above this is not nearer than the last of those found. */
  float least() const { return least_; }

  void offer(int64_t other) {
    const int64_t last = squares_.size() - 1;
    // Nothing is nearer than a twin.
    if (other == row_ || (squares_[last] == 0 && other > rows_[last])) return;
    const int64_t width = points_.width;
    const double square = squaredDistance(points_.data + row_ * width, points_.data + other * width, width);
    const auto closer = [&](int64_t than) {
      return square < squares_[than] || (square == squares_[than] && other < rows_[than]);
    };
    if (!closer(last)) return;
    int64_t place = last;
    for (; place > 0 && closer(place - 1); place--) {
      squares_[place] = squares_[place - 1];
      rows_[place] = rows_[place - 1];
    }
    squares_[place] = square;
    rows_[place] = static_cast<int32_t>(other);
    if (std::isfinite(squares_[last])) raise(squares_[last]);
  }

  void write(int32_t* rows, float* distances) const {
    std::copy(rows_.begin(), rows_.end(), rows);
    for (double square : squares_) *distances++ = static_cast<float>(std::sqrt(square));
  }

 private:
  /** ½ (|x|² − square), less what rounding may have added to the norm. */
  void raise(double square) {
    const double own = static_cast<double>(norm_) * norm_;
    const double scale = points_.scale;
    const double least = 0.5 * (own - square * scale * scale) - 16 * UNIT_ROUNDOFF * own;
    least_ = std::nextafter(static_cast<float>(least), -INFINITY);
  }

  const Points& points_;
  int64_t row_;
  float norm_, least_ = -INFINITY;
  std::vector<double> squares_;
  std::vector<int32_t> rows_;
};

/** Takes queries, rows that follow each other, past all blocks of rows, beginning with their own. */
void search(const Points& points, int64_t begin, std::vector<Nearest>& queries) {
  const Units& units = points.units;
  const int64_t width = points.width, size = units.size(width), own = begin / BLOCK;
  const int64_t blocks = (queries.size() + BLOCK - 1) / BLOCK;
  std::vector<float> rows(BLOCK * width), packed(blocks * size);
  for (int64_t b = 0; b < blocks; b++) {
    points.takeUp(begin + b * BLOCK, rows.data());
    units.packQueries(rows.data(), width, packed.data() + b * size);
  }
  alignas(64) float products[BLOCK * BLOCK];
  units.begin();
  for (int64_t i = 0; i < points.blocks; i++) {
    const int64_t block = (own + i) % points.blocks, first = block * BLOCK;
    for (int64_t b = 0; b < blocks; b++) {
      units.multiply(packed.data() + b * size, points.packed.data() + block * size, width, products);
      const int64_t count = std::min<int64_t>(BLOCK, queries.size() - b * BLOCK);
      for (int64_t q = 0; q < count; q++) {
        Nearest& query = queries[b * BLOCK + q];
        uint32_t bits = units.above(products + q * BLOCK, query.norm(), points.slack.data() + first,
                                    points.half.data() + first, query.least());
        for (; bits != 0; bits &= bits - 1) query.offer(first + __builtin_ctz(bits));
      }
    }
  }
  units.end();
}

/** For the rows from `first` to `last` of x [n, c] the k < n nearest other rows and their distances, [last − first, k]. */
void nearest(Call& call, const Attributes& attributes) {
  TF_Tensor* x = call.input(0);
  const int64_t width = rowsOf(x).width, count = rowsOf(x).count, k = attributes.neighbours;
  const int64_t first = attributes.first, last = attributes.last;
  require(k > 0 && k < count, "no neighbours, or as many as rows");
  require(first >= 0 && first <= last && last <= count, "no such rows");
  TF_Tensor* rows = call.output(0, TF_INT32, {last - first, k});
  TF_Tensor* distances = call.output(1, TF_FLOAT, {last - first, k});
  Points points(dataOf<float>(x), count, width, unitsOf(attributes.units));
  const int64_t step = BLOCK * TOGETHER;
  parallel((last - first + step - 1) / step, count * width, [&](int64_t begin, int64_t end) {
    for (int64_t group = begin; group < end; group++) {
      const int64_t start = first + group * step;
      std::vector<Nearest> queries;
      for (int64_t row = start; row < std::min(last, start + step); row++) queries.emplace_back(points, row, k);
      search(points, start, queries);
      for (size_t i = 0; i < queries.size(); i++) {
        const int64_t at = (start - first + i) * k;
        queries[i].write(dataOf<int32_t>(rows) + at, dataOf<float>(distances) + at);
      }
    }
  });
}

}  // namespace

void registerNeighbours() {
  registerOp("MaetokNearest", {"x: float"}, {"rows: int32", "distances: float"},
             {"neighbours: int", "first: int", "last: int", "units: int"}, kernel<nearest>);
}

}  // namespace maetok
