/*
 * Panels for vectors of sixteen (AVX-512): twelve rows times 32 columns fill 24 of 32 registers with sums. A panel's units have 32
 * bits: a float32 number, or two bfloat16 ones that follow each other along the depth, whose products AVX512-BF16 sums in the time of
 * one (it takes denormal numbers for zero).
 */
#pragma once

#include "panels.h"
#include "sixteen.h"

#if defined(__AVX512F__)
#include <immintrin.h>
#define MAETOK_WIDE_VECTORS
/** A compiler uses AVX512-BF16 only where it is asked to by name, so that other processors can run the rest of what has this. */
#define PAIRS_CODE __attribute__((target("avx512bf16")))

namespace maetok {

inline bool hasPairs() {
  static const bool has = __builtin_cpu_supports("avx512bf16");
  return has;
}

/** Units of one float32 number, which `ROUNDED` has bfloat16's precision. */
template <bool ROUNDED>
struct Singles {
  static constexpr int64_t NUMBERS = 1;

  /** Up to sixteen units of a line, of which `count` numbers are left. */
  template <typename T>
  MAETOK_INLINED static __m512i along(const T* from, int64_t count) {
    return taken(from, firstOf(count));
  }

  /** A unit of each of some lines that follow each other. */
  template <typename T>
  MAETOK_INLINED static __m512i across(const T* from, int64_t, int64_t, __mmask16 lines) {
    return taken(from, lines);
  }

  MAETOK_INLINED static __m512 add(__m512 sums, float left, __m512 right) {
    return _mm512_fmadd_ps(_mm512_set1_ps(left), right, sums);
  }

 private:
  MAETOK_INLINED static __m512i taken(const float* from, __mmask16 some) {
    const __m512i bits = _mm512_maskz_loadu_epi32(some, from);
    return ROUNDED ? rounded(bits) : bits;
  }

  MAETOK_INLINED static __m512i taken(const Bfloat16* from, __mmask16 some) {
    return _mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(some, from)), 16);
  }

  /** As `store` rounds to bfloat16. */
  MAETOK_INLINED static __m512i rounded(__m512i bits) {
    const __m512 x = _mm512_castsi512_ps(bits);
    const __m512i odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
    const __m512i sum = _mm512_add_epi32(bits, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff)));
    const __m512i nearest = _mm512_and_si512(sum, _mm512_set1_epi32(static_cast<int>(0xffff0000u)));
    return _mm512_mask_mov_epi32(nearest, _mm512_cmp_ps_mask(x, x, _CMP_UNORD_Q), bits);
  }
};

/** Units of two bfloat16 numbers. */
struct Pairs {
  static constexpr int64_t NUMBERS = 2;

  PAIRS_CODE MAETOK_INLINED static __m512i along(const float* from, int64_t count) {
    const __m512 first = _mm512_maskz_loadu_ps(firstOf(count), from);
    const __m512 second = _mm512_maskz_loadu_ps(firstOf(count - 16), from + 16);
    return reinterpret_cast<__m512i>(_mm512_cvtne2ps_pbh(second, first));
  }

  PAIRS_CODE MAETOK_INLINED static __m512i along(const Bfloat16* from, int64_t count) {
    return _mm512_maskz_loadu_epi16(firstOf(count), from);
  }

  template <typename T>
  PAIRS_CODE MAETOK_INLINED static __m512i across(const T* from, int64_t stride, int64_t depth, __mmask16 lines) {
    const __m512i first = halves(from, lines), second = halves(from + stride, depth > 1 ? lines : 0);
    return _mm512_or_si512(first, _mm512_slli_epi32(second, 16));
  }

  PAIRS_CODE MAETOK_INLINED static __m512 add(__m512 sums, float left, __m512 right) {
    return _mm512_dpbf16_ps(sums, reinterpret_cast<__m512bh>(_mm512_set1_ps(left)), reinterpret_cast<__m512bh>(right));
  }

 private:
  PAIRS_CODE MAETOK_INLINED static __m512i halves(const float* from, __mmask16 some) {
    const __m256bh rounded = _mm512_cvtneps_pbh(_mm512_maskz_loadu_ps(some, from));
    return _mm512_cvtepu16_epi32(reinterpret_cast<__m256i>(rounded));
  }

  PAIRS_CODE MAETOK_INLINED static __m512i halves(const Bfloat16* from, __mmask16 some) {
    return _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(some, from));
  }
};

template <typename Units>
struct WidePanels : PanelsForVectors<WidePanels<Units>> {
  static constexpr int64_t LEFT = 12, RIGHT = 32, DEPTH = 16 * Units::NUMBERS;
  static constexpr int64_t LEFT_STEP = LEFT * 16, RIGHT_STEP = RIGHT * 16;
  /** A right panel of so many steps stays in the first cache. */
  static constexpr int64_t USUAL_STEPS = 16;
  static constexpr int64_t CACHED = 512 << 10, MOST = 64;

  PAIRS_CODE static void multiply(const float* left, const float* right, int64_t steps, const float* bias, float* result,
                                  int64_t stride) {
    __m512 sums[LEFT][2];
#pragma GCC unroll 12
    for (int64_t r = 0; r < LEFT; r++) {
      sums[r][0] = bias ? _mm512_loadu_ps(bias) : _mm512_setzero_ps();
      sums[r][1] = bias ? _mm512_loadu_ps(bias + 16) : _mm512_setzero_ps();
    }
#pragma GCC unroll 4
    for (int64_t k = 0; k < steps * 16; k++, left += LEFT, right += RIGHT) {
      const __m512 low = _mm512_loadu_ps(right), high = _mm512_loadu_ps(right + 16);
#pragma GCC unroll 12
      for (int64_t r = 0; r < LEFT; r++) {
        sums[r][0] = Units::add(sums[r][0], left[r], low);
        sums[r][1] = Units::add(sums[r][1], left[r], high);
      }
    }
#pragma GCC unroll 12
    for (int64_t r = 0; r < LEFT; r++) {
      _mm512_storeu_ps(result + r * stride, sums[r][0]);
      _mm512_storeu_ps(result + r * stride + 16, sums[r][1]);
    }
  }

  /** Some steps of so many lines: units of the same depth beside each other. */
  template <int64_t LINES, typename T>
  PAIRS_CODE static void pack(const Operand<T>& x, int64_t first, int64_t step, int64_t steps, float* to) {
    const int64_t lines = std::min(LINES, x.lines - first);
    for (int64_t k = step * DEPTH; k < (step + steps) * DEPTH; k += DEPTH, to += LINES * 16)
      if (x.deep)
        turnStep<LINES>(x.data + first * x.stride + k, x.stride, lines, x.depth - k, to);
      else
        copyStep<LINES>(x.data + k * x.stride + first, x.stride, lines, x.depth - k, to);
  }

 private:
  template <int64_t LINES, typename T>
  PAIRS_CODE MAETOK_INLINED static void turnStep(const T* from, int64_t stride, int64_t lines, int64_t depth, float* to) {
    constexpr int64_t AT_ONCE = std::min<int64_t>(LINES, 16);
#pragma GCC unroll 2
    for (int64_t line = 0; line < LINES; line += AT_ONCE) {
      __m512i rows[16];
#pragma GCC unroll 16
      for (int64_t i = 0; i < 16; i++) {
        const bool there = i < AT_ONCE && line + i < lines;
        rows[i] = there ? Units::along(from + (line + i) * stride, depth) : _mm512_setzero_si512();
      }
      transposeSixteen(rows);
#pragma GCC unroll 16
      for (int64_t k = 0; k < 16; k++) _mm512_mask_storeu_epi32(to + k * LINES + line, firstOf(AT_ONCE), rows[k]);
    }
  }

  template <int64_t LINES, typename T>
  PAIRS_CODE MAETOK_INLINED static void copyStep(const T* from, int64_t stride, int64_t lines, int64_t depth, float* to) {
    constexpr int64_t AT_ONCE = std::min<int64_t>(LINES, 16);
    for (int64_t k = 0; k < DEPTH; k += Units::NUMBERS, from += Units::NUMBERS * stride, to += LINES)
#pragma GCC unroll 2
      for (int64_t line = 0; line < LINES; line += AT_ONCE) {
        // Rows are far apart, which the processor does not foresee.
        __builtin_prefetch(from + line + DEPTH * stride);
        const __mmask16 some = k < depth ? firstOf(std::min(AT_ONCE, lines - line)) : 0;
        const __m512i units = Units::across(from + line, stride, depth - k, some);
        _mm512_mask_storeu_epi32(to + line, firstOf(AT_ONCE), units);
      }
  }
};

}  // namespace maetok

#endif
