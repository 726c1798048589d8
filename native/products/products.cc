#include "products.h"

#if defined(__x86_64__)
#include <immintrin.h>

#include <cstdint>
#include <type_traits>

namespace maetok {
namespace {

template <int N>
using Constant = std::integral_constant<int, N>;
using Yes = std::true_type;
using No = std::false_type;

#pragma GCC push_options
#pragma GCC target("avx2,fma")
/** (a₀ + a₂) + (a₁ + a₃), in WebAssembly's order. */
inline float total(__m128 a) {
  const __m128 halves = _mm_add_ps(a, _mm_movehl_ps(a, a));
  return _mm_cvtss_f32(_mm_add_ss(halves, _mm_shuffle_ps(halves, halves, 1)));
}

namespace avx2 {
constexpr int MOST = 4, MOST_WIDES = 1;
struct Wide {
  __m256 low, high;
};
inline Wide zero() { return {_mm256_setzero_ps(), _mm256_setzero_ps()}; }
inline Wide both(const float* low, const float* high) { return {_mm256_loadu_ps(low), _mm256_loadu_ps(high)}; }
inline Wide second(const float* high) { return {_mm256_setzero_ps(), _mm256_loadu_ps(high)}; }
inline Wide every(const float* value) {
  const __m256 all = _mm256_broadcast_ss(value);
  return {all, all};
}
inline Wide multiplyAdd(Wide a, Wide b, Wide c) {
  return {_mm256_fmadd_ps(a.low, b.low, c.low), _mm256_fmadd_ps(a.high, b.high, c.high)};
}
inline __m128 quarter(Wide a, int part) {
  const __m256 half = part < 2 ? a.low : a.high;
  return part % 2 == 0 ? _mm256_castps256_ps128(half) : _mm256_extractf128_ps(half, 1);
}
#include "kernels.inl"
}  // namespace avx2
#pragma GCC pop_options

#pragma GCC push_options
#pragma GCC target("avx512f,avx512dq,avx512vl,avx2,fma")
namespace avx512 {
constexpr int MOST = 8, MOST_WIDES = 2;
using Wide = __m512;
inline Wide zero() { return _mm512_setzero_ps(); }
inline Wide both(const float* low, const float* high) {
  return _mm512_insertf32x8(_mm512_castps256_ps512(_mm256_loadu_ps(low)), _mm256_loadu_ps(high), 1);
}
inline Wide second(const float* high) { return _mm512_insertf32x8(_mm512_setzero_ps(), _mm256_loadu_ps(high), 1); }
inline Wide every(const float* value) { return _mm512_set1_ps(*value); }
inline Wide multiplyAdd(Wide a, Wide b, Wide c) { return _mm512_fmadd_ps(a, b, c); }
inline __m128 quarter(Wide a, int part) {
  switch (part) {
    case 0:
      return _mm512_castps512_ps128(a);
    case 1:
      return _mm512_extractf32x4_ps(a, 1);
    case 2:
      return _mm512_extractf32x4_ps(a, 2);
    default:
      return _mm512_extractf32x4_ps(a, 3);
  }
}
#include "kernels.inl"
}  // namespace avx512
#pragma GCC pop_options

constexpr Products AVX2 = {avx2::MOST, avx2::distancesOfSome, avx2::outerOf};
constexpr Products AVX512 = {avx512::MOST, avx512::distancesOfSome, avx512::outerOf};

}  // namespace

const Products* products() {
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"))
    return &AVX512;
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") ? &AVX2 : nullptr;
}

}  // namespace maetok

#else

namespace maetok {
const Products* products() { return nullptr; }
}  // namespace maetok

#endif
