/* What is multiplied for a mixture, where WebAssembly's vectors of four are too narrow: src/gmm/kernels holds the rest. */
#pragma once

namespace maetok {

/** Rows of a panel: as in src/gmm/kernels/layout.ts. */
constexpr int PANEL = 128;
/** Rows whose distances are computed together, at most. */
constexpr int MOST_ROWS = 8;

struct Products {
  /** Rows that it takes at once. */
  int most;
  void (*distances)(int count, const float* const* rows, const float* limits, const float* mean, const float* factor,
                    int width, float* centred, float* squared);
  void (*outer)(const float* panel, const float* weighted, double* matrix, const double* spread, int count, int width);
};

/** Those for this processor; null where it has no AVX2. */
const Products* products();

}  // namespace maetok
