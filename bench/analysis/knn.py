"""scikit-learn's exact search: all distances in blocks, the smallest kept."""

import numpy as np
import sklearn
from peer import serve
from sklearn.neighbors import NearestNeighbors


def ready(parameters, folder, threads):
    rows, k = np.load(f"{folder}/rows.npy"), int(parameters["neighbours"])

    def run():
        distances, neighbours = NearestNeighbors(n_neighbors=k, algorithm="brute").fit(rows).kneighbors()
        return lambda: found(distances, neighbours)

    def found(distances, neighbours):
        weights = (1 + np.arange(k)) * (1 + np.arange(len(rows)) % 97)[:, None]
        return {"distances": distances.sum(dtype=np.float64), "checksum": int((neighbours * weights).sum())}

    return run


serve(f"scikit-learn {sklearn.__version__}", ready)
