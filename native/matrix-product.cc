/*
 * Products of matrices in tiles of bfloat16, which multiply many times faster than the processor's vectors. A float32 number is
 * the sum of three bfloat16 ones of 8 bits each; of the nine products of two such sums six make a product as good as
 * float32's own, since the others are below its last bit (Henry, Tang & Heinecke 2019, arXiv:1904.06376). Numbers below 1e-33
 * have fewer bits: tiles take denormal parts for zero. Where operands are rounded to bfloat16, one product is enough.
 *
 * Operands are packed into panels of 32 rows, or columns, in the order in which tiles are read. A number of the result is
 * summed in one order whatever the threads and the other rows and columns.
 */
#include "tiles.h"

#if defined(MAETOK_AMX)
#include <sys/mman.h>

#include <atomic>
#include <type_traits>
#endif

namespace maetok {
namespace {

#if defined(MAETOK_AMX)

/** Numbers of a tile. */
constexpr int64_t TILE = TILE_ROWS * TILE_NUMBERS;
/** Rows or columns of a panel: two tiles beside each other. */
constexpr int64_t PANEL = 2 * TILE_ROWS;
/** Bytes of panels that stay in a core's second cache while others go past them. */
constexpr int64_t CACHED = 900 << 10;
/**
 * Steps of TILE_NUMBERS through a product's depth that are summed by themselves: a group's panels fit the cache, and the
 * rounding of long sums grows with one part's length.
 */
constexpr int64_t USUAL_STEPS = 24;
/** Bytes of an operand's panels that all threads share, at most, unless one panel has more. */
constexpr int64_t MOST_PACKED = 32 << 20;

/** A matrix as rows, or columns, of `depth` numbers each, which are multiplied; one or the other follow each other in memory. */
template <typename T>
struct Operand {
  const T* data;
  int64_t lines, depth;
  /** Numbers of a line follow each other, and lines are `stride` apart; else the other way about. */
  bool deep;
  int64_t stride;

  int64_t panels() const { return (lines + PANEL - 1) / PANEL; }
  /** Some of its lines. */
  Operand from(int64_t first, int64_t count) const {
    return {data + (deep ? first * stride : first), std::min(count, lines - first), depth, deep, stride};
  }
};

int64_t stepsOf(int64_t depth) { return (depth + TILE_NUMBERS - 1) / TILE_NUMBERS; }

/** What a panel takes. */
template <int PARTS>
int64_t panelBytes(int64_t depth) {
  return stepsOf(depth) * PARTS * 2 * TILE * sizeof(Bfloat16);
}

/* Packing: numbers beyond a matrix's end are zeros. */

AMX_CODE inline __mmask32 firstOf(int64_t count) {
  return count >= 32 ? ~0u : count <= 0 ? 0u : (1u << count) - 1;
}

AMX_CODE inline __m512i widened(__m256bh halves) { return _mm512_cvtepu16_epi32(reinterpret_cast<__m256i>(halves)); }

AMX_CODE inline __m512 valueOf(__m256bh halves) {
  return _mm512_castsi512_ps(_mm512_slli_epi32(widened(halves), 16));
}

/** Whether a number is infinite or none, of which no parts can be made. */
AMX_CODE inline bool wild(__m512 values) {
  constexpr int QUIET = 0x01, POSITIVE = 0x08, NEGATIVE = 0x10, SIGNALLING = 0x80;
  return _mm512_fpclass_ps_mask(values, QUIET | POSITIVE | NEGATIVE | SIGNALLING) != 0;
}

/** 32 numbers of a line, each as a sum of PARTS; a part's tiles lie two tiles behind those of the one before. */
template <int PARTS>
AMX_CODE inline bool packLine(const float* from, int64_t count, Bfloat16* to) {
  const __mmask32 mask = firstOf(count);
  __m512 low = _mm512_maskz_loadu_ps(mask & 0xffff, from);
  __m512 high = _mm512_maskz_loadu_ps(mask >> 16, from + 16);
  bool odd = false;
#pragma GCC unroll 3
  for (int part = 0; part < PARTS; part++, to += 2 * TILE) {
    const __m256bh first = _mm512_cvtneps_pbh(low), second = _mm512_cvtneps_pbh(high);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), reinterpret_cast<__m256i>(first));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to + 16), reinterpret_cast<__m256i>(second));
    if (part + 1 == PARTS) break;
    const __m512 a = valueOf(first), b = valueOf(second);
    if (part == 0) odd = wild(a) || wild(b);
    low = _mm512_sub_ps(low, a);
    high = _mm512_sub_ps(high, b);
  }
  return odd;
}

template <int PARTS>
AMX_CODE inline bool packLine(const Bfloat16* from, int64_t count, Bfloat16* to) {
  _mm512_storeu_si512(to, _mm512_maskz_loadu_epi16(firstOf(count), from));
  return false;
}

/** A number of each of sixteen lines and the next one, in pairs. */
template <int PARTS>
AMX_CODE inline bool packPairs(const float* one, __mmask16 ones, const float* next, __mmask16 nexts, Bfloat16* to) {
  __m512 x = _mm512_maskz_loadu_ps(ones, one), y = _mm512_maskz_loadu_ps(nexts, next);
  bool odd = false;
#pragma GCC unroll 3
  for (int part = 0; part < PARTS; part++, to += 2 * TILE) {
    const __m512i first = widened(_mm512_cvtneps_pbh(x));
    const __m512i second = _mm512_slli_epi32(widened(_mm512_cvtneps_pbh(y)), 16);
    _mm512_storeu_si512(to, _mm512_or_si512(first, second));
    if (part + 1 == PARTS) break;
    const __m512 a = _mm512_castsi512_ps(_mm512_slli_epi32(first, 16)), b = _mm512_castsi512_ps(second);
    if (part == 0) odd = wild(a) || wild(b);
    x = _mm512_sub_ps(x, a);
    y = _mm512_sub_ps(y, b);
  }
  return odd;
}

template <int PARTS>
AMX_CODE inline bool packPairs(const Bfloat16* one, __mmask16 ones, const Bfloat16* next, __mmask16 nexts,
                               Bfloat16* to) {
  const __m512i first = _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(ones, one));
  const __m512i second = _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(nexts, next));
  _mm512_storeu_si512(to, _mm512_or_si512(first, _mm512_slli_epi32(second, 16)));
  return false;
}

/** Exchanges a tile's rows and its columns of pairs: what a left operand has and what a right one has. */
AMX_CODE void transposePairs(Bfloat16* tile) {
  auto* rows = reinterpret_cast<__m512i*>(tile);
  __m512i a[16], b[16];
#pragma GCC unroll 8
  for (int i = 0; i < 16; i += 2) {
    const __m512i even = _mm512_loadu_si512(rows + i), odd = _mm512_loadu_si512(rows + i + 1);
    a[i] = _mm512_unpacklo_epi32(even, odd);
    a[i + 1] = _mm512_unpackhi_epi32(even, odd);
  }
#pragma GCC unroll 4
  for (int i = 0; i < 16; i += 4) {
    b[i] = _mm512_unpacklo_epi64(a[i], a[i + 2]);
    b[i + 1] = _mm512_unpackhi_epi64(a[i], a[i + 2]);
    b[i + 2] = _mm512_unpacklo_epi64(a[i + 1], a[i + 3]);
    b[i + 3] = _mm512_unpackhi_epi64(a[i + 1], a[i + 3]);
  }
  constexpr int EVEN = 0x88, ODD = 0xdd;
#pragma GCC unroll 4
  for (int i = 0; i < 4; i++) {
    a[i] = _mm512_shuffle_i32x4(b[i], b[i + 4], EVEN);
    a[i + 4] = _mm512_shuffle_i32x4(b[i], b[i + 4], ODD);
    a[i + 8] = _mm512_shuffle_i32x4(b[i + 8], b[i + 12], EVEN);
    a[i + 12] = _mm512_shuffle_i32x4(b[i + 8], b[i + 12], ODD);
  }
#pragma GCC unroll 8
  for (int i = 0; i < 8; i++) {
    _mm512_storeu_si512(rows + i, _mm512_shuffle_i32x4(a[i], a[i + 8], EVEN));
    _mm512_storeu_si512(rows + i + 8, _mm512_shuffle_i32x4(a[i], a[i + 8], ODD));
  }
}

/** Some steps of one panel: of each part both tiles. Whether a number has no parts. */
template <int PARTS, bool LEFT, typename T>
AMX_CODE bool packPanel(const Operand<T>& x, int64_t panel, int64_t step, int64_t steps, Bfloat16* to) {
  bool odd = false;
  const int64_t first = panel * PANEL, lines = x.lines - first;
  const int64_t end = std::min(x.depth, (step + steps) * TILE_NUMBERS);
  for (int64_t k = step * TILE_NUMBERS; k < end; k += TILE_NUMBERS, to += PARTS * 2 * TILE) {
    const int64_t left = x.depth - k;
    if (x.deep)
      for (int64_t line = 0; line < PANEL; line++) {
        const T* from = x.data + (line < lines ? (first + line) * x.stride + k : 0);
        // Lines are far apart, which the processor does not foresee.
        __builtin_prefetch(from + 2 * TILE_NUMBERS);
        __builtin_prefetch(from + 3 * TILE_NUMBERS - 1);
        Bfloat16* row = to + line / TILE_ROWS * TILE + line % TILE_ROWS * TILE_NUMBERS;
        odd |= packLine<PARTS>(from, line < lines ? left : 0, row);
      }
    else
      for (int64_t row = 0; row < TILE_ROWS; row++) {
        const int64_t number = 2 * row;
        const T* one = x.data + (number < left ? (k + number) * x.stride + first : 0);
        const T* next = number + 1 < left ? one + x.stride : one;
        __builtin_prefetch(one + TILE_NUMBERS * x.stride);
        __builtin_prefetch(one + TILE_NUMBERS * x.stride + PANEL - 1);
        __builtin_prefetch(next + TILE_NUMBERS * x.stride);
        __builtin_prefetch(next + TILE_NUMBERS * x.stride + PANEL - 1);
        for (int64_t half = 0; half < 2; half++) {
          const __mmask16 there = firstOf(lines - half * TILE_ROWS);
          const __mmask16 ones = number < left ? there : 0, nexts = number + 1 < left ? there : 0;
          const int64_t at = ones ? half * TILE_ROWS : 0;
          Bfloat16* target = to + half * TILE + row * TILE_NUMBERS;
          odd |= packPairs<PARTS>(one + at, ones, next + at, nexts, target);
        }
      }
    if (x.deep != LEFT)
      for (int tile = 0; tile < PARTS * 2; tile++) transposePairs(to + tile * TILE);
  }
  return odd;
}

/** 32 × 32 numbers, rows `stride` apart: the products of two panels' next steps, and a bias, if any. */
template <int PARTS>
AMX_CODE void multiplyPanels(const Bfloat16* left, const Bfloat16* right, int64_t steps, const float* bias,
                             float* result, int64_t stride) {
  static_assert(PARTS == 1 || PARTS == 3, "one part, or all of float32");
  for (int64_t row = 0; row < PANEL; row++) {
    __builtin_prefetch(result + row * stride, 1);
    __builtin_prefetch(result + row * stride + TILE_ROWS, 1);
  }
  asm volatile("" : : "r"(left), "r"(right), "r"(bias) : "memory");
  bias ? beginSums(bias) : clearSums();
  for (int64_t step = 0; step < steps; step++, left += 2 * PARTS * TILE, right += 2 * PARTS * TILE) {
    const auto takeLeft = [&](int part) AMX_CODE { loadLeft(left + 2 * part * TILE, left + (2 * part + 1) * TILE); };
    const auto takeRight = [&](int part) AMX_CODE { loadRight(right + 2 * part * TILE, right + (2 * part + 1) * TILE); };
    if (PARTS == 3) {
      // Small products first; each pair of parts changes one operand alone.
      takeLeft(2);
      takeRight(0);
      addProducts();
      takeLeft(1);
      addProducts();
      takeRight(1);
      addProducts();
      takeLeft(0);
      addProducts();
      takeRight(2);
      addProducts();
      takeRight(0);
      addProducts();
    } else {
      takeLeft(0);
      takeRight(0);
      addProducts();
    }
  }
  storeSums(result, stride);
  asm volatile("" : : : "memory");
}

/** Memory for panels, kept from one product to the next: to map it anew would take longer than to fill it. */
class Room {
 public:
  Bfloat16* of(int64_t numbers) {
    const size_t needed = (numbers * sizeof(Bfloat16) + HUGE - 1) / HUGE * HUGE;
    if (needed > bytes_) {
      if (bytes_ > 0) munmap(memory_, bytes_);
      bytes_ = 0;
      memory_ = mmap(nullptr, needed, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
      require(memory_ != MAP_FAILED, "no memory for a product's panels");
      bytes_ = needed;
      madvise(memory_, bytes_, MADV_HUGEPAGE);
    }
    return static_cast<Bfloat16*>(memory_);
  }

 private:
  static constexpr size_t HUGE = 2 << 20;
  void* memory_ = nullptr;
  size_t bytes_ = 0;
};

/**
 * result [left.lines, right.lines], rows `stride` apart. Of two operands the smaller is packed as a whole and shared by all
 * threads; of the larger each thread packs a group of panels that stays in its cache while all of the other's go past.
 */
template <int PARTS, typename T, typename U, typename Out>
struct Product {
  Operand<T> left;
  Operand<U> right;
  /** What is added to every row of the result, with zeros up to a whole panel; null for nothing. */
  const float* bias;
  Out* result;
  int64_t stride;
  /** The smaller operand's panels. */
  Bfloat16* shared;

  bool groupsLeft() const { return left.lines >= right.lines; }
  int64_t sharedPanels() const { return groupsLeft() ? right.panels() : left.panels(); }
  int64_t groupedPanels() const { return groupsLeft() ? left.panels() : right.panels(); }
  int64_t steps() const { return stepsOf(left.depth); }
  int64_t panelSize() const { return steps() * STEP; }

  /** Some panels of the smaller operand. */
  bool packShared(int64_t begin, int64_t end) const {
    bool odd = false;
    for (int64_t panel = begin; panel < end; panel++)
      odd |= packOne(!groupsLeft(), panel, 0, steps(), shared + panel * panelSize());
    return odd;
  }

  /** As many groups for each of `threads`, none larger than what stays in a cache. */
  int64_t groups(int64_t threads) const {
    const int64_t bytes = stepsAtOnce() * STEP * sizeof(Bfloat16);
    const int64_t most = std::max<int64_t>(2, std::min<int64_t>(8, CACHED / bytes - 1));
    return std::min(groupedPanels(), threads * ((groupedPanels() + threads * most - 1) / (threads * most)));
  }

  /** What a group of the larger operand's panels has part in; `room` is for their panels. */
  AMX_CODE bool multiply(int64_t begin, int64_t end, Room& room) const {
    const int64_t size = stepsAtOnce() * STEP;
    Bfloat16* own = room.of((end - begin) * size);
    bool odd = false;
    beginTiles();
    for (int64_t step = 0; step < steps(); step += stepsAtOnce()) {
      const int64_t count = std::min(stepsAtOnce(), steps() - step);
      for (int64_t i = begin; i < end; i++) odd |= packOne(groupsLeft(), i, step, count, own + (i - begin) * size);
      for (int64_t j = 0; j < sharedPanels(); j++)
        for (int64_t i = begin; i < end; i++) {
          const Bfloat16 *mine = own + (i - begin) * size, *other = shared + j * panelSize() + step * STEP;
          if (groupsLeft())
            multiplyPair(i, mine, j, other, step == 0, count);
          else
            multiplyPair(j, other, i, mine, step == 0, count);
        }
    }
    endTiles();
    return odd;
  }

 private:
  /** Numbers of a panel's step. */
  static constexpr int64_t STEP = PARTS * 2 * TILE;

  /** About equal shares of all; bfloat16 results, which would be rounded after each, are summed at once. */
  int64_t stepsAtOnce() const {
    const int64_t shares = std::is_same<Out, float>::value ? (steps() + USUAL_STEPS / 2) / USUAL_STEPS : 1;
    return shares > 1 ? (steps() + shares - 1) / shares : steps();
  }

  bool packOne(bool ofLeft, int64_t panel, int64_t step, int64_t count, Bfloat16* to) const {
    return ofLeft ? packPanel<PARTS, true>(left, panel, step, count, to)
                  : packPanel<PARTS, false>(right, panel, step, count, to);
  }

  AMX_CODE void multiplyPair(int64_t i, const Bfloat16* a, int64_t j, const Bfloat16* b, bool first, int64_t count) const {
    Out* to = result + i * PANEL * stride + j * PANEL;
    const int64_t rows = std::min(PANEL, left.lines - i * PANEL), columns = std::min(PANEL, right.lines - j * PANEL);
    const float* start = first && bias ? bias + j * PANEL : nullptr;
    if constexpr (std::is_same<Out, float>::value)
      if (rows == PANEL && columns == PANEL && first) return multiplyPanels<PARTS>(a, b, count, start, to, stride);
    alignas(64) float whole[PANEL * PANEL];
    multiplyPanels<PARTS>(a, b, count, start, whole, PANEL);
    for (int64_t r = 0; r < rows; r++)
      for (int64_t c = 0; c < columns; c++) {
        const float sum = whole[r * PANEL + c];
        store(to + r * stride + c, first ? sum : load(to[r * stride + c]) + sum);
      }
  }
};

/** Each thread's, for a group of panels. */
Room& groupRoom() {
  static thread_local Room room;
  return room;
}

/** Each thread's, for the other operand of a product that it makes alone. */
Room& otherRoom() {
  static thread_local Room room;
  return room;
}

/** For panels that all threads share. */
Room& commonRoom() {
  static Room room;
  return room;
}

/** One product, all threads at it; false where a number has no parts. TensorFlow.js calls from one thread. */
template <int PARTS, typename T, typename U, typename Out>
bool multiplyTogether(const Operand<T>& left, const Operand<U>& right, const float* bias, Out* result) {
  const int64_t most = std::max<int64_t>(1, MOST_PACKED / panelBytes<PARTS>(left.depth)) * PANEL;
  const bool leftWhole = left.lines >= right.lines;
  const int64_t parts = leftWhole ? right.lines : left.lines;
  for (int64_t first = 0; first < parts; first += most) {
    Product<PARTS, T, U, Out> part{left, right, bias, result, right.lines, nullptr};
    if (leftWhole) {
      part.right = right.from(first, most);
      part.result += first;
      if (bias) part.bias += first;
    } else {
      part.left = left.from(first, most);
      part.result += first * part.stride;
    }
    part.shared = commonRoom().of(part.sharedPanels() * part.panelSize());
    std::atomic<bool> odd{false};
    parallel(part.sharedPanels(), part.sharedPanels() * part.panelSize(), [&](int64_t begin, int64_t end) {
      if (part.packShared(begin, end)) odd = true;
    });
    const int64_t groups = part.groups(cores()), panels = part.groupedPanels();
    parallel(groups, part.left.lines * part.right.lines * left.depth / PANEL, [&](int64_t begin, int64_t end) {
      for (int64_t group = begin; group < end; group++)
        if (part.multiply(panels * group / groups, panels * (group + 1) / groups, groupRoom())) odd = true;
    });
    if (odd) return false;
  }
  return true;
}

/** One product on this thread. */
template <int PARTS, typename T, typename U, typename Out>
bool multiplyAlone(const Operand<T>& left, const Operand<U>& right, const float* bias, Out* result) {
  Product<PARTS, T, U, Out> product{left, right, bias, result, right.lines, nullptr};
  product.shared = otherRoom().of(product.sharedPanels() * product.panelSize());
  bool odd = product.packShared(0, product.sharedPanels());
  const int64_t groups = product.groups(1), panels = product.groupedPanels();
  for (int64_t group = 0; group < groups; group++)
    odd |= product.multiply(panels * group / groups, panels * (group + 1) / groups, groupRoom());
  return !odd;
}

/** By the definition: what infinities and numbers that are none come to. */
void multiplyPlainly(const Operand<float>& left, const Operand<float>& right, const float* bias, float* result) {
  const auto at = [](const Operand<float>& x, int64_t line, int64_t k) {
    return x.data[x.deep ? line * x.stride + k : k * x.stride + line];
  };
  parallel(left.lines, left.lines * right.lines * left.depth, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; i++)
      for (int64_t j = 0; j < right.lines; j++) {
        float sum = bias ? bias[j] : 0;
        for (int64_t k = 0; k < left.depth; k++) sum += at(left, i, k) * at(right, j, k);
        result[i * right.lines + j] = sum;
      }
  });
}

/** Matrices of a tensor, along its last two axes. */
struct Matrices {
  int64_t count, rows, columns;
};

Matrices matricesOf(const TF_Tensor* tensor) {
  const std::vector<int64_t> shape = shapeOf(tensor);
  require(shape.size() >= 2, "matrices expected");
  const int64_t columns = shape.back(), rows = shape[shape.size() - 2];
  return {rows * columns > 0 ? sizeOf(tensor) / (rows * columns) : 0, rows, columns};
}

/** Bytes of a product's panels up to which each thread takes products of its own. */
constexpr int64_t SMALL = 8 << 20;

template <int PARTS, typename T, typename U, typename Out>
void multiplyAll(const TF_Tensor* a, const TF_Tensor* b, const float* bias, bool turnA, bool turnB, Out* results) {
  const Matrices x = matricesOf(a), y = matricesOf(b);
  const auto leftOf = [&](int64_t i) {
    const T* data = dataOf<T>(a) + i * x.rows * x.columns;
    return Operand<T>{data, turnA ? x.columns : x.rows, turnA ? x.rows : x.columns, !turnA, x.columns};
  };
  const auto rightOf = [&](int64_t i) {
    const U* data = dataOf<U>(b) + i * y.rows * y.columns;
    return Operand<U>{data, turnB ? y.rows : y.columns, turnB ? y.columns : y.rows, turnB, y.columns};
  };
  const int64_t size = leftOf(0).lines * rightOf(0).lines;
  std::vector<uint8_t> odd(x.count);
  const int64_t bytes = (leftOf(0).panels() + rightOf(0).panels()) * panelBytes<PARTS>(leftOf(0).depth);
  if (x.count > 1 && bytes <= SMALL)
    parallel(x.count, x.count * size, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; i++)
        odd[i] = !multiplyAlone<PARTS>(leftOf(i), rightOf(i), bias, results + i * size);
    });
  else
    for (int64_t i = 0; i < x.count; i++)
      odd[i] = !multiplyTogether<PARTS>(leftOf(i), rightOf(i), bias, results + i * size);
  if constexpr (PARTS > 1)
    for (int64_t i = 0; i < x.count; i++)
      if (odd[i]) multiplyPlainly(leftOf(i), rightOf(i), bias, results + i * size);
}

/** Calls body with a value of each operand's type. */
template <typename Body>
void withTypes(const TF_Tensor* a, const TF_Tensor* b, Body body) {
  withType(TF_TensorType(a), [&](auto x) { withType(TF_TensorType(b), [&](auto y) { body(x, y); }); });
}

/**
 * a [..., m, k] · b [..., k, n], and a bias [n] if there is one, either operand turned where asked. Two float32 operands are multiplied as such, unless they
 * are to be `rounded` to bfloat16 first, as other operands are.
 */
void matrixProduct(Call& call, const Attributes& attributes) {
  require(hasTiles(), "this processor has no tiles");
  TF_Tensor* a = call.input(0);
  TF_Tensor* b = call.input(1);
  const bool turnA = attributes.turnA != 0, turnB = attributes.turnB != 0;
  const Matrices x = matricesOf(a), y = matricesOf(b);
  require(x.count == y.count && (turnA ? x.rows : x.columns) == (turnB ? y.columns : y.rows), "shapes do not match");
  std::vector<int64_t> shape = shapeOf(a);
  shape[shape.size() - 2] = turnA ? x.columns : x.rows;
  shape.back() = turnB ? y.rows : y.columns;
  const bool single = TF_TensorType(a) == TF_FLOAT && TF_TensorType(b) == TF_FLOAT && attributes.rounded == 0;
  require(!single || attributes.out == TF_FLOAT, "a float32 product is float32");
  TF_Tensor* out = call.output(0, attributes.out, shape);
  if (sizeOf(out) == 0) return;
  std::vector<float> bias;
  if (attributes.count > 0) {
    const TF_Tensor* given = call.input(2);
    require(sizeOf(given) == shape.back(), "the bias does not fit");
    bias.resize((shape.back() + PANEL - 1) / PANEL * PANEL);
    std::copy_n(dataOf<float>(given), sizeOf(given), bias.begin());
  }
  const float* added = bias.empty() ? nullptr : bias.data();
  if (single) return multiplyAll<3, float, float>(a, b, added, turnA, turnB, dataOf<float>(out));
  withType(attributes.out, [&](auto z) {
    using Out = decltype(z);
    withTypes(a, b, [&](auto x, auto y) {
      multiplyAll<1, decltype(x), decltype(y)>(a, b, added, turnA, turnB, dataOf<Out>(out));
    });
  });
}

#else

void matrixProduct(Call&, const Attributes&) { throw std::runtime_error("this processor has no tiles"); }

#endif

}  // namespace

void registerMatrixProduct() {
  registerOp("MaetokMatrixProduct", {"a: T", "b: U", "bias: N * float"}, {"product: Tout"},
             {"T: {float, bfloat16}", "U: {float, bfloat16}", "N: int >= 0 = 0", "Tout: {float, bfloat16} = DT_FLOAT", "turn_a: int = 0",
              "turn_b: int = 0", "rounded: int = 0"},
             kernel<matrixProduct>);
}

}  // namespace maetok
