#pragma once

#include "functions.h"
#include "runtime.h"

namespace maetok {

/** eˣ of `width` numbers, scaled so that they sum to 1: `weights` times the factor that it gives. */
template <typename T>
float softmaxRow(const T* x, int64_t width, float* weights) {
  float most = load(x[0]);
#pragma omp simd reduction(max : most)
  for (int64_t c = 0; c < width; c++) {
    const float value = load(x[c]);
    most = value > most ? value : most;
  }
  float sum = 0;
#pragma omp simd reduction(+ : sum)
  for (int64_t c = 0; c < width; c++) {
    weights[c] = exponential(load(x[c]) - most);
    sum += weights[c];
  }
  return 1.0f / sum;
}

}  // namespace maetok
