/*
 * The products of a mixture's E-step and M-step, for the vectors that are defined where this is included: `Wide` is sixteen
 * numbers. Each number is made by the operations of the WebAssembly routines in src/gmm/kernels, in their order, so that
 * it has the same bits.
 */

/** Adds the products of inputs `from` to `to`, which all columns but the first SHORTER have. */
template <int ROWS, int WIDES, int SHORTER>
inline void addInputs(const float* const* columns, const float* centred, int width, int from, int to,
                      Wide (&products)[ROWS][WIDES]) {
  constexpr int FIRST = SHORTER / 2;
  for (int j = from; j < to; j++) {
    Wide factors[WIDES];
#pragma GCC unroll 2
    for (int w = FIRST; w < WIDES; w++) {
      const float* high = columns[2 * w + 1] + 8 * j;
      factors[w] = SHORTER > 2 * w ? second(high) : both(columns[2 * w] + 8 * j, high);
    }
#pragma GCC unroll 8
    for (int r = 0; r < ROWS; r++)
#pragma GCC unroll 2
      for (int w = FIRST; w < WIDES; w++)
        products[r][w] = multiplyAdd(every(centred + r * width + j), factors[w], products[r][w]);
  }
}

/**
 * Outputs of 2 · WIDES columns of eight, of which each has eight inputs more than the one before; the first has `inputs`.
 * Where the last is missing, `SINGLE`, its numbers are copies of the first's.
 */
template <int ROWS, int WIDES, bool SINGLE>
inline void outputsOf(const float* const* columns, const float* centred, int width, int inputs,
                      Wide (&products)[ROWS][WIDES]) {
#pragma GCC unroll 8
  for (int r = 0; r < ROWS; r++)
#pragma GCC unroll 2
    for (int w = 0; w < WIDES; w++) products[r][w] = zero();
  addInputs<ROWS, WIDES, 0>(columns, centred, width, 0, inputs, products);
  if (SINGLE) return;
  addInputs<ROWS, WIDES, 1>(columns, centred, width, inputs, inputs + 8, products);
  if constexpr (WIDES == 2) {
    addInputs<ROWS, WIDES, 2>(columns, centred, width, inputs + 8, inputs + 16, products);
    addInputs<ROWS, WIDES, 3>(columns, centred, width, inputs + 16, inputs + 24, products);
  }
}

/** Adds the squares of the outputs; whether all rows are now beyond their limits. */
template <int ROWS, int WIDES, bool SINGLE>
inline bool addSquares(const Wide (&products)[ROWS][WIDES], const float* limits, __m128 (&sums)[ROWS], float* squared) {
  bool beyond = true;
#pragma GCC unroll 8
  for (int r = 0; r < ROWS; r++) {
#pragma GCC unroll 8
    for (int part = 0; part < (SINGLE ? 2 : 4 * WIDES); part++) {
      const __m128 four = quarter(products[r][part / 4], part % 4);
      sums[r] = _mm_fmadd_ps(four, four, sums[r]);
    }
    squared[r] = total(sums[r]);
    beyond = beyond && squared[r] > limits[r];
  }
  return beyond;
}

/**
 * Squared distances |Uᵀ(x − mean)|² of so many rows, or partial sums once all of them are beyond their limits: see
 * `triangularDistance`. `factor` is packed by columns of eight; `centred` has room for as many rows.
 */
template <int ROWS>
void distancesOf(const float* const* rows, const float* limits, const float* mean, const float* factor, int width,
                 float* centred, float* squared) {
  for (int r = 0; r < ROWS; r++)
    for (int j = 0; j < width; j++) centred[r * width + j] = rows[r][j] - mean[j];
  __m128 sums[ROWS];
  for (int r = 0; r < ROWS; r++) sums[r] = _mm_setzero_ps();
  const float* column = factor;
  const auto next = [&](auto wides, auto single, int inputs) {
    constexpr int WIDES = decltype(wides)::value;
    const float* columns[2 * WIDES];
    for (int c = 0; c < 2 * WIDES; c++) {
      columns[c] = column;
      if (!decltype(single)::value) column += 8 * (inputs + 8 * c);
    }
    Wide products[ROWS][WIDES];
    outputsOf<ROWS, WIDES, decltype(single)::value>(columns, centred, width, inputs, products);
    return addSquares<ROWS, WIDES, decltype(single)::value>(products, limits, sums, squared);
  };
  int inputs = 8;
  for (; inputs + 16 * MOST_WIDES - 8 <= width; inputs += 16 * MOST_WIDES)
    if (next(Constant<MOST_WIDES>(), No(), inputs)) return;
  for (; inputs + 8 <= width; inputs += 16)
    if (next(Constant<1>(), No(), inputs)) return;
  if (inputs <= width) next(Constant<1>(), Yes(), inputs);
}

/** Of up to `MOST` rows. */
inline void distancesOfSome(int count, const float* const* rows, const float* limits, const float* mean,
                            const float* factor, int width, float* centred, float* squared) {
  switch (count) {
#define CASE(n) \
  case n:       \
    return distancesOf<n>(rows, limits, mean, factor, width, centred, squared)
    CASE(1);
    CASE(2);
    CASE(3);
    CASE(4);
    CASE(5);
    CASE(6);
    CASE(7);
    CASE(8);
#undef CASE
  }
}

/** Adds four numbers to four sums, rounded by the products of their spreads. */
inline void addRounded(double* sums, __m128 numbers, double down, const double* across) {
  const __m256d limit = _mm256_mul_pd(_mm256_set1_pd(down), _mm256_loadu_pd(across));
  const __m256d kept = _mm256_sub_pd(_mm256_add_pd(_mm256_cvtps_pd(numbers), limit), limit);
  _mm256_storeu_pd(sums, _mm256_add_pd(_mm256_loadu_pd(sums), kept));
}

/** The sums of rows i to i + TALL and of 16 · WIDES columns, or half as many, from j on. */
template <int TALL, int WIDES, bool SINGLE>
void addTile(const float* panel, const float* weighted, double* matrix, const double* spread, int count, int width,
             int i, int j) {
  const float* columns[2 * WIDES];
  for (int c = 0; c < 2 * WIDES; c++) columns[c] = panel + (j + (SINGLE ? 0 : 8 * c)) * PANEL;
  Wide sums[TALL][WIDES];
  for (int r = 0; r < TALL; r++)
    for (int w = 0; w < WIDES; w++) sums[r][w] = zero();
  for (int n = 0; n < count; n++) {
    Wide factors[WIDES];
    for (int w = 0; w < WIDES; w++) factors[w] = both(columns[2 * w] + 8 * n, columns[2 * w + 1] + 8 * n);
    for (int r = 0; r < TALL; r++) {
      const Wide value = every(weighted + (i + r / 4 * 4) * PANEL + 4 * n + r % 4);
      for (int w = 0; w < WIDES; w++) sums[r][w] = multiplyAdd(value, factors[w], sums[r][w]);
    }
  }
  for (int r = 0; r < TALL; r++)
    for (int part = 0; part < (SINGLE ? 2 : 4 * WIDES); part++)
      addRounded(matrix + int64_t(i + r) * width + j + 4 * part, quarter(sums[r][part / 4], part % 4), spread[i + r],
                 spread + j + 4 * part);
}

/**
 * Adds Σ weighted · rowᵀ over a panel's rows to the matrix, on and below the diagonal: see `outerProducts`. Rows lie in
 * columns of eight, weighted ones in columns of four, PANEL of each.
 */
inline void outerOf(const float* panel, const float* weighted, double* matrix, const double* spread, int count,
                    int width) {
  for (int i = 0; i < width; i += MOST) {
    const int end = (i + MOST + 7) / 8 * 8;
    int j = 0;
    for (; j + 16 * MOST_WIDES <= end; j += 16 * MOST_WIDES)
      addTile<MOST, MOST_WIDES, false>(panel, weighted, matrix, spread, count, width, i, j);
    for (; j + 16 <= end; j += 16) addTile<MOST, 1, false>(panel, weighted, matrix, spread, count, width, i, j);
    if (j < end) addTile<MOST, 1, true>(panel, weighted, matrix, spread, count, width, i, j);
  }
}
