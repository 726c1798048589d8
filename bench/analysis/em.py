import numpy as np
from mixture import VERSION, started
from peer import serve


def ready(parameters, folder, threads):
    rows = np.load(f"{folder}/rows.npy")
    options = {"tol": 0, "max_iter": parameters["iterations"], "reg_covar": parameters["regularisation"]}
    return lambda: {"likelihood": started(folder, **options).fit(rows).lower_bound_}


serve(VERSION, ready)
