/*
 * Panels of float32 for vectors of eight: six rows times sixteen columns fill twelve of sixteen registers with sums, and each
 * number that is loaded is used as often as that allows (Van Zee & van de Geijn 2015, BLIS).
 */
#pragma once

#include "panels.h"

#if defined(__AVX2__) && defined(__FMA__) && !defined(__AVX512F__)
#include <immintrin.h>
#define MAETOK_VECTORS

namespace maetok {

MAETOK_INLINED __m256 loadEight(const float* from) { return _mm256_loadu_ps(from); }

MAETOK_INLINED __m256 loadEight(const Bfloat16* from) {
  const __m128i halves = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from));
  return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(halves), 16));
}

/** As `store` rounds to bfloat16. */
MAETOK_INLINED __m256 roundedEight(__m256 x) {
  const __m256i bits = _mm256_castps_si256(x);
  const __m256i odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
  const __m256i sum = _mm256_add_epi32(bits, _mm256_add_epi32(odd, _mm256_set1_epi32(0x7fff)));
  const __m256i nearest = _mm256_and_si256(sum, _mm256_set1_epi32(static_cast<int>(0xffff0000u)));
  return _mm256_blendv_ps(_mm256_castsi256_ps(nearest), x, _mm256_cmp_ps(x, x, _CMP_UNORD_Q));
}

/** Rows become columns. */
MAETOK_INLINED void transposeEight(__m256 (&rows)[8]) {
  __m256 a[8], b[8];
  for (int i = 0; i < 8; i += 2) {
    a[i] = _mm256_unpacklo_ps(rows[i], rows[i + 1]);
    a[i + 1] = _mm256_unpackhi_ps(rows[i], rows[i + 1]);
  }
  for (int i = 0; i < 8; i += 4)
    for (int j = 0; j < 2; j++) {
      b[i + 2 * j] = _mm256_shuffle_ps(a[i + j], a[i + j + 2], 0x44);
      b[i + 2 * j + 1] = _mm256_shuffle_ps(a[i + j], a[i + j + 2], 0xee);
    }
  for (int i = 0; i < 4; i++) {
    rows[i] = _mm256_permute2f128_ps(b[i], b[i + 4], 0x20);
    rows[i + 4] = _mm256_permute2f128_ps(b[i], b[i + 4], 0x31);
  }
}

/** The first six or eight. */
template <int COUNT>
MAETOK_INLINED void storeSome(float* to, __m256 x) {
  static_assert(COUNT == 6 || COUNT == 8, "a panel's lines");
  if (COUNT == 8) return _mm256_storeu_ps(to, x);
  _mm_storeu_ps(to, _mm256_castps256_ps128(x));
  _mm_storel_pi(reinterpret_cast<__m64*>(to + 4), _mm256_extractf128_ps(x, 1));
}

/** Operands in float32; `ROUNDED`, float32 ones have bfloat16's precision. */
template <bool ROUNDED>
struct VectorPanels : PanelsForVectors<VectorPanels<ROUNDED>> {
  static constexpr int64_t LEFT = 6, RIGHT = 16, DEPTH = 8;
  static constexpr int64_t LEFT_STEP = LEFT * DEPTH, RIGHT_STEP = RIGHT * DEPTH;
  /** A right panel of so many steps stays in the first cache. */
  static constexpr int64_t USUAL_STEPS = 48;
  static constexpr int64_t CACHED = 256 << 10, MOST = 64;

  static void multiply(const float* left, const float* right, int64_t steps, const float* bias, float* result,
                       int64_t stride) {
    __m256 sums[LEFT][2];
#pragma GCC unroll 6
    for (int64_t r = 0; r < LEFT; r++) {
      sums[r][0] = bias ? _mm256_loadu_ps(bias) : _mm256_setzero_ps();
      sums[r][1] = bias ? _mm256_loadu_ps(bias + 8) : _mm256_setzero_ps();
    }
#pragma GCC unroll 4
    for (int64_t k = 0; k < steps * DEPTH; k++, left += LEFT, right += RIGHT) {
      const __m256 low = _mm256_loadu_ps(right), high = _mm256_loadu_ps(right + 8);
#pragma GCC unroll 6
      for (int64_t r = 0; r < LEFT; r++) {
        const __m256 every = _mm256_broadcast_ss(left + r);
        sums[r][0] = _mm256_fmadd_ps(every, low, sums[r][0]);
        sums[r][1] = _mm256_fmadd_ps(every, high, sums[r][1]);
      }
    }
#pragma GCC unroll 6
    for (int64_t r = 0; r < LEFT; r++) {
      _mm256_storeu_ps(result + r * stride, sums[r][0]);
      _mm256_storeu_ps(result + r * stride + 8, sums[r][1]);
    }
  }

  /** Some steps of so many lines: numbers of the same depth beside each other. `lines` are all that the operand has from there on. */
  template <int64_t LINES, typename T>
  static void pack(const Operand<T>& x, int64_t first, int64_t step, int64_t steps, float* to) {
    const int64_t lines = x.lines - first;
    for (int64_t k = step * DEPTH; k < (step + steps) * DEPTH; k += DEPTH, to += LINES * DEPTH)
      if (x.deep)
        turnStep<LINES>(x.data + first * x.stride + k, x.stride, lines, x.depth - k, to);
      else
        copyStep<LINES>(x.data + k * x.stride + first, x.stride, lines, x.depth - k, to);
  }

 private:
  template <typename T>
  static __m256 taken(const T* from) {
    const __m256 x = loadEight(from);
    return ROUNDED && sizeof(T) == sizeof(float) ? roundedEight(x) : x;
  }

  /** Up to eight numbers, zeros behind them. */
  template <typename T>
  static __m256 taken(const T* from, int64_t count) {
    if (count >= 8) return taken(from);
    T some[8] = {};
    for (int64_t i = 0; i < count; i++) some[i] = from[i];
    return taken(some);
  }

  template <int64_t LINES, typename T>
  static void turnStep(const T* from, int64_t stride, int64_t lines, int64_t depth, float* to) {
    constexpr int AT_ONCE = LINES < 8 ? LINES : 8;
    for (int64_t line = 0; line < LINES; line += AT_ONCE) {
      __m256 rows[8] = {};
      for (int64_t i = 0; i < AT_ONCE; i++)
        if (line + i < lines) rows[i] = taken(from + (line + i) * stride, depth);
      transposeEight(rows);
      for (int64_t k = 0; k < DEPTH; k++) storeSome<AT_ONCE>(to + k * LINES + line, rows[k]);
    }
  }

  template <int64_t LINES, typename T>
  static void copyStep(const T* from, int64_t stride, int64_t lines, int64_t depth, float* to) {
    constexpr int AT_ONCE = LINES < 8 ? LINES : 8;
    const bool whole = lines >= LINES / AT_ONCE * 8 && depth >= DEPTH;
#pragma GCC unroll 8
    for (int64_t k = 0; k < DEPTH; k++, from += stride) {
      // Rows are far apart, which the processor does not foresee.
      __builtin_prefetch(from + DEPTH * stride);
#pragma GCC unroll 2
      for (int64_t line = 0; line < LINES; line += AT_ONCE) {
        const bool there = k < depth && line < lines;
        const __m256 some = whole ? taken(from + line) : there ? taken(from + line, lines - line) : _mm256_setzero_ps();
        storeSome<AT_ONCE>(to + k * LINES + line, some);
      }
    }
  }
};

}  // namespace maetok

#endif
