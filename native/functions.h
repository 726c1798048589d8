/* Elementary functions in float32 that compilers turn into vector code: no branches, no tables, no calls. */
#pragma once

#include <cstdint>
#include <cstring>

#include "inlined.h"

namespace maetok {

/** eˣ to about 2 units in the last place: 2ⁿ times a polynomial in the remainder (Taylor's to degree 7). NaN stays. */
MAETOK_INLINED float exponential(float x) {
  x = x < -87.0f ? -87.0f : x;
  x = x > 88.0f ? 88.0f : x;
  // Adding and taking away 1.5 · 2²³ rounds to an integer.
  const float shifted = x * 1.44269504088896341f + 12582912.0f;
  const float n = shifted - 12582912.0f;
  // ln 2 in two parts, so that the remainder is exact.
  const float r = (x - n * 0.693359375f) + n * 2.12194440e-4f;
  float p = 1.98412698e-4f;
  p = p * r + 1.38888889e-3f;
  p = p * r + 8.33333333e-3f;
  p = p * r + 4.16666667e-2f;
  p = p * r + 1.66666667e-1f;
  p = p * r + 0.5f;
  p = p * r + 1.0f;
  p = p * r + 1.0f;
  uint32_t bits;
  std::memcpy(&bits, &shifted, sizeof bits);
  bits = (bits - 0x4b400000u + 127u) << 23;
  float power;
  std::memcpy(&power, &bits, sizeof power);
  return p * power;
}

MAETOK_INLINED float sigmoid(float x) { return 1.0f / (1.0f + exponential(-x)); }

/**
 * Standard normal distribution function Φ and density φ. Φ by the formula for erf in Abramowitz & Stegun, Handbook of
 * Mathematical Functions, 7.1.26 (absolute error of Φ below 8e-8): it shares its one exponential with φ.
 */
MAETOK_INLINED void normal(float x, float* distribution, float* density) {
  const float bell = exponential(-0.5f * x * x);
  const float t = 1.0f / (1.0f + 0.23164189f * (x < 0 ? -x : x));
  float p = 1.061405429f;
  p = p * t - 1.453152027f;
  p = p * t + 1.421413741f;
  p = p * t - 0.284496736f;
  p = p * t + 0.254829592f;
  const float tail = 0.5f * p * t * bell;
  *distribution = x < 0 ? tail : 1.0f - tail;
  *density = 0.39894228040143268f * bell;
}

struct Identity {
  static MAETOK_INLINED float value(float x) { return x; }
  static MAETOK_INLINED void valueAndSlope(float x, float* value, float* slope) {
    *value = x;
    *slope = 1.0f;
  }
};

/** x Φ(x) (Hendrycks & Gimpel 2016). */
struct Gelu {
  static MAETOK_INLINED float value(float x) {
    float distribution, density;
    normal(x, &distribution, &density);
    return x * distribution;
  }
  static MAETOK_INLINED void valueAndSlope(float x, float* value, float* slope) {
    float distribution, density;
    normal(x, &distribution, &density);
    *value = x * distribution;
    *slope = distribution + x * density;
  }
};

/** GELU in its tanh approximation: x σ(2z), z = √(2/π) (x + 0.044715 x³). */
struct GeluTanh {
  static constexpr float LINEAR = 1.5957691216057308f;
  static constexpr float CUBIC = 0.071354816272600406f;
  static MAETOK_INLINED float value(float x) { return x * sigmoid(x * (LINEAR + CUBIC * x * x)); }
  static MAETOK_INLINED void valueAndSlope(float x, float* value, float* slope) {
    const float square = x * x;
    const float gate = sigmoid(x * (LINEAR + CUBIC * square));
    *value = x * gate;
    *slope = gate * (1.0f + x * (LINEAR + 3.0f * CUBIC * square) * (1.0f - gate));
  }
};

/** x σ(x). */
struct Silu {
  static MAETOK_INLINED float value(float x) { return x * sigmoid(x); }
  static MAETOK_INLINED void valueAndSlope(float x, float* value, float* slope) {
    const float gate = sigmoid(x);
    *value = x * gate;
    *slope = gate * (1.0f + x * (1.0f - gate));
  }
};

/** Calls body with the activation of the op's attribute: 0 none, 1 GELU, 2 GELU by tanh, 3 SiLU. */
template <typename Body>
void withActivation(int32_t activation, Body body) {
  if (activation == 0)
    body(Identity());
  else if (activation == 1)
    body(Gelu());
  else if (activation == 2)
    body(GeluTanh());
  else
    body(Silu());
}

}  // namespace maetok
