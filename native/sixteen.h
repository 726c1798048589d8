/* Vectors of 512 bits, whatever multiplies them: masks of some of their numbers, and sixteen rows turned in registers. */
#pragma once

#include "inlined.h"

#if defined(__x86_64__)
#include <immintrin.h>

namespace maetok {

/** A mask of so many numbers; of the lower sixteen bits where a vector holds no more. */
MAETOK_INLINED __mmask32 firstOf(int64_t count) {
  return count >= 32 ? ~0u : count <= 0 ? 0u : (1u << count) - 1;
}

/** Rows become columns. */
__attribute__((target("avx512f"))) MAETOK_INLINED void transposeSixteen(__m512i (&rows)[16]) {
  __m512i a[16], b[16];
#pragma GCC unroll 8
  for (int i = 0; i < 16; i += 2) {
    a[i] = _mm512_unpacklo_epi32(rows[i], rows[i + 1]);
    a[i + 1] = _mm512_unpackhi_epi32(rows[i], rows[i + 1]);
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
    rows[i] = _mm512_shuffle_i32x4(a[i], a[i + 8], EVEN);
    rows[i + 8] = _mm512_shuffle_i32x4(a[i], a[i + 8], ODD);
  }
}

}  // namespace maetok

#endif
