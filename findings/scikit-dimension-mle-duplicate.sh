#!/usr/bin/env bash
# scikit-dimension 0.5.0, skdim.id.MLE (found by comparing it with our own estimate): one row that occurs twice among a
# thousand makes the estimated dimension exactly 0.0, without a warning, where it is 8.8 without the duplicate; TwoNN of
# the same package is not affected. The duplicate's distance of 0 makes one inverse estimate infinite, and their mean with it.
# One would have expected rows at distance 0 to be left out, as in the package's TwoNN, or refused.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check numpy==2.4.6 scipy==1.17.1 scikit-learn==1.9.1 scikit-dimension==0.5.0
"$folder/venv/bin/python" - <<'PY'
from importlib.metadata import version

import numpy as np
import skdim

print("scikit-dimension", version("scikit-dimension"))
x = np.random.default_rng(0).standard_normal((1000, 10))
twice = np.vstack([x, x[:1]])
found = [estimator().fit(rows).dimension_ for estimator in (skdim.id.MLE, skdim.id.TwoNN) for rows in (x, twice)]
print("MLE", found[:2], "TwoNN", found[2:], "without and with one duplicate")
assert found[0] > 8 and found[1] == 0.0 and abs(found[2] - found[3]) < 0.2, found
PY
