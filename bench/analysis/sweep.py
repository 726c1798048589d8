import sys

import numpy as np
from mixture import VERSION
from peer import serve
from sklearn.mixture import GaussianMixture


def fitted(rows, count):
    """In float32; where scikit-learn gives up there, as it does for clusters of few rows, in float64."""
    try:
        return GaussianMixture(count, random_state=0).fit(rows)
    except ValueError as error:
        print(f"scikit-learn, K = {count}, float32: {str(error).split('(')[0]}", file=sys.stderr)
        return GaussianMixture(count, random_state=0).fit(rows.astype(np.float64))


def ready(parameters, folder, threads):
    counts = [int(count) for count in parameters["components"].split(",")]

    def run():
        rows = np.load(f"{folder}/rows.npy")
        return {f"nll{k}": float(-fitted(rows, k).lower_bound_) for k in counts}

    return run


serve(VERSION, ready)
