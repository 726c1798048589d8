#!/usr/bin/env bash
# scikit-learn 1.9.1, sklearn.decomposition.PCA with its defaults on float32 rows (found by comparing it with our own): from
# ten rows per column on, svd_solver="auto" takes "covariance_eigh", which subtracts the mean's outer product from
# uncentred sums in float32. One row more turns right variances (639 rows of 64 columns, mean 100, deviation 0.1) into a
# leading variance ten times too large and a smallest of 0, without a warning.
# One would have expected more rows to make it more exact; that the solver loses some digits is documented, that it
# loses all of them on rows with a common offset is not.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check numpy==2.4.6 scipy==1.17.1 scikit-learn==1.9.1
"$folder/venv/bin/python" - <<'PY'
import numpy as np
import sklearn
from sklearn.decomposition import PCA

print("scikit-learn", sklearn.__version__)
ratios = {}
for n in (639, 640):
    x = (100 + 0.1 * np.random.default_rng(2).standard_normal((n, 64))).astype(np.float32)
    found = PCA().fit(x)
    right = np.linalg.eigvalsh(np.cov(x.astype(np.float64).T))[::-1]
    ratios[n] = found.explained_variance_[0] / right[0]
    print(n, "rows:", found._fit_svd_solver, found.explained_variance_[[0, -1]], "where", right[[0, -1]], "is right")
assert abs(ratios[639] - 1) < 1e-3 and ratios[640] > 2, ratios
PY
