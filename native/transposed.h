/* Sixteen rows of sixteen units of 32 bits, turned in registers. */
#pragma once

#include "inlined.h"

#if defined(__x86_64__)
#include <immintrin.h>

namespace maetok {

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
