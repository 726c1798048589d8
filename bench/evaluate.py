"""The other side of bench/evaluate.ts: a Fréchet distance as the published evaluators compute it.

NumPy's means and covariances in float64, then scipy.linalg.sqrtm of their product. Reads two .npy files per line from
standard input and answers each with one JSON line.
"""

import json
import sys

import numpy as np
import scipy
from helpers.cost import measured
from scipy import linalg


def frechet(a, b):
    mu1, sigma1 = a.mean(0), np.cov(a, rowvar=False)
    mu2, sigma2 = b.mean(0), np.cov(b, rowvar=False)
    root = linalg.sqrtm(sigma1.dot(sigma2))
    return float(((mu1 - mu2) ** 2).sum() + np.trace(sigma1) + np.trace(sigma2) - 2 * np.trace(root.real))


print(json.dumps({"numpy": np.__version__, "scipy": scipy.__version__}), flush=True)
for line in sys.stdin:
    sample, reference = (np.load(path) for path in line.split())
    value, cost = measured(lambda: frechet(sample.astype(np.float64), reference.astype(np.float64)))
    print(json.dumps({**cost, "value": value}), flush=True)
