"""The peer of tsne.ts: openTSNE as it comes, on the rows of FOLDER/data.npy. `tsne.py FOLDER THREADS`; each line on stdin asks
for one embedding, which FOLDER/points.npy then holds."""

import json
import sys
import time

import numpy as np
import openTSNE
from helpers.cost import measured

folder, threads = sys.argv[1], int(sys.argv[2])
data = np.load(f"{folder}/data.npy")


def say(**line):
    print(json.dumps(line), flush=True)


# Numba and the like are ready before anything is measured.
openTSNE.TSNE(n_jobs=threads, n_iter=5, early_exaggeration_iter=5, random_state=0).fit(data[:500])
say(openTSNE=openTSNE.__version__)
for _ in sys.stdin:
    affinities, search = measured(
        lambda: openTSNE.affinity.PerplexityBasedNN(data, perplexity=30, n_jobs=threads, random_state=0)
    )
    points, layout = measured(
        lambda: openTSNE.TSNE(n_jobs=threads, random_state=0).fit(
            affinities=affinities, initialization=openTSNE.initialization.pca(data, random_state=0)
        )
    )
    np.save(f"{folder}/points.npy", np.ascontiguousarray(points, dtype=np.float32))
    say(search=search, layout=layout)
