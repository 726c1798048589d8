"""The peer of umap.ts: umap-learn on the rows of FOLDER/data.npy from FOLDER/start.npy, single-threaded as a seed makes it.
Writes FOLDER/points.npy and prints seconds."""

import sys
import time

import numpy as np
import umap

folder, neighbours = sys.argv[1], int(sys.argv[2])
data, start = np.load(f"{folder}/data.npy"), np.load(f"{folder}/start.npy")
# Compiles the kernels, which is not part of the measurement: from 4096 rows on there are others, which search.
umap.UMAP(n_neighbors=5, n_epochs=5, random_state=0, n_jobs=1).fit(data[:5000])
began = time.perf_counter()
start = 10 * start / np.abs(start).max()
points = umap.UMAP(n_neighbors=neighbours, random_state=0, init=start, n_jobs=1).fit_transform(data)
print(time.perf_counter() - began)
np.save(f"{folder}/points.npy", np.ascontiguousarray(points, dtype=np.float32))
