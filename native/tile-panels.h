/*
 * Panels of bfloat16 for tiles, which multiply many times faster than the processor's vectors. A float32 number is the sum of
 * three bfloat16 ones of 8 bits each; of the nine products of two such sums six make a product as good as float32's own, since
 * the others are below its last bit (Henry, Tang & Heinecke 2019, arXiv:1904.06376). Numbers below 1e-33 have fewer bits: tiles
 * take denormal parts for zero. Where operands are rounded to bfloat16, one product is enough.
 */
#pragma once

#include "panels.h"
#include "tiles.h"
#include "sixteen.h"

#if defined(MAETOK_AMX)

namespace maetok {

/** Numbers of a tile. */
constexpr int64_t TILE = TILE_ROWS * TILE_NUMBERS;
/** Lines of a panel: two tiles beside each other. */
constexpr int64_t PANEL = 2 * TILE_ROWS;

/* Packing: numbers beyond a matrix's end are zeros. */

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
AMX_CODE inline void transposePairs(Bfloat16* tile) {
  __m512i rows[16];
#pragma GCC unroll 16
  for (int i = 0; i < 16; i++) rows[i] = _mm512_loadu_si512(reinterpret_cast<__m512i*>(tile) + i);
  transposeSixteen(rows);
#pragma GCC unroll 16
  for (int i = 0; i < 16; i++) _mm512_storeu_si512(reinterpret_cast<__m512i*>(tile) + i, rows[i]);
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

/** Operands as sums of so many bfloat16 numbers each. */
template <int PARTS>
struct TilePanels {
  using Number = Bfloat16;
  static constexpr int64_t LEFT = PANEL, RIGHT = PANEL, DEPTH = TILE_NUMBERS;
  static constexpr int64_t LEFT_STEP = PARTS * 2 * TILE, RIGHT_STEP = LEFT_STEP;
  /** A group's panels fit the cache, and the rounding of long sums grows with one part's length. */
  static constexpr int64_t USUAL_STEPS = 24;
  static constexpr int64_t CACHED = 900 << 10, MOST = 8;

  static void begin() { beginTiles(); }
  static void end() { endTiles(); }

  template <typename T>
  static bool packLeft(const Operand<T>& x, int64_t panel, int64_t step, int64_t steps, Bfloat16* to) {
    return packPanel<PARTS, true>(x, panel, step, steps, to);
  }
  template <typename T>
  static bool packRight(const Operand<T>& x, int64_t panel, int64_t step, int64_t steps, Bfloat16* to) {
    return packPanel<PARTS, false>(x, panel, step, steps, to);
  }
  static void multiply(const Bfloat16* left, const Bfloat16* right, int64_t steps, const float* bias, float* result,
                       int64_t stride) {
    multiplyPanels<PARTS>(left, right, steps, bias, result, stride);
  }
};

}  // namespace maetok

#endif
