"""A GaussianMixture in float32 that starts where start.npz says."""

import warnings

import numpy as np
import sklearn
from sklearn.mixture import GaussianMixture

VERSION = f"scikit-learn {sklearn.__version__}"
warnings.simplefilter("ignore")


def started(folder, **options):
    start = np.load(f"{folder}/start.npz")
    factors = start["precisions_cholesky_"]
    full = factors.ndim == 3
    given = {
        "weights_init": start["weights_"],
        "means_init": start["means_"],
        "precisions_init": factors @ factors.transpose(0, 2, 1) if full else factors**2,
    }
    return GaussianMixture(
        len(start["weights_"]),
        covariance_type="full" if full else "diag",
        **{name: array.astype(np.float32) for name, array in given.items()},
        **options,
    )
