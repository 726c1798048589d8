"""The same objective, the same tolerance on its gradient, the solver that scikit-learn takes by itself."""

import numpy as np
import sklearn
from peer import serve
from scipy.special import logsumexp
from sklearn.linear_model import LogisticRegression


def ready(parameters, folder, threads):
    rows = int(parameters["rows"])
    x, labels = np.load(f"{folder}/rows.npy"), np.load(f"{folder}/labels.npy")
    train, test = slice(0, rows), slice(rows, None)

    def run():
        model = LogisticRegression(
            C=parameters["inversePenalty"], tol=parameters["tolerance"], max_iter=1000
        ).fit(x[train], labels[train])
        return lambda: found(model)

    def found(model):
        scores = model.decision_function(x[train]).astype(np.float64)
        loss = np.mean(logsumexp(scores, axis=1) - scores[np.arange(rows), labels[train]])
        penalty = np.sum(model.coef_.astype(np.float64) ** 2) / (2 * parameters["inversePenalty"] * rows)
        return {
            "objective": loss + penalty,
            "accuracy": model.score(x[test], labels[test]),
            "iterations": model.n_iter_[0],
            "objective_within": parameters["objectiveWithin"],
        }

    return run


serve(f"scikit-learn {sklearn.__version__}", ready)
