#!/usr/bin/env bash
# scikit-learn 1.9.1, sklearn.mixture.GaussianMixture on float32 rows (found by comparing it with float64 and with our own
# fits): it computes diagonal, tied and spherical covariances as the mean square less the squared mean, in the rows' own
# precision. Rows of mean 100 and deviation 0.1 lose their variance to rounding: the fit raises "ill-defined empirical
# covariance" or is off by tens of percent without a warning, while covariance_type="full" is right.
# One would have expected sums in float64, or at least the same for all four types; the input is finite and harmless.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check numpy==2.4.6 scipy==1.17.1 scikit-learn==1.9.1
"$folder/venv/bin/python" - <<'PY'
import numpy as np
import sklearn
from sklearn.mixture import GaussianMixture

print("scikit-learn", sklearn.__version__)
x = (100 + 0.1 * np.random.default_rng(0).standard_normal((2000, 8))).astype(np.float32)


def score(kind, rows):
    try:
        return GaussianMixture(1, covariance_type=kind).fit(rows).score(rows)
    except ValueError as error:
        print(kind, rows.dtype, "raises", str(error)[:60])
        return float("nan")


off = {}
for kind in ("full", "tied", "diag", "spherical"):
    single, double = score(kind, x), score(kind, x.astype(np.float64))
    off[kind] = not abs(single - double) < 0.1
    print(kind, "log-likelihood per row: float32", single, "float64", double)
assert off == {"full": False, "tied": True, "diag": True, "spherical": True}, off
PY
