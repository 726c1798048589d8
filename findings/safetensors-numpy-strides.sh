#!/usr/bin/env bash
# safetensors 0.8.0, safetensors.numpy.save and save_file (found by reading such a file back): an array that is not
# C-contiguous, a transpose, every second row, Fortran order, is written as its memory lies, with the shape of the view, so
# that the numbers come back in the wrong order, without a warning. safetensors.torch refuses the same tensor by name.
# One would have expected the numbers of the view in C order, as np.save writes them, or a refusal as in its torch twin.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check safetensors==0.8.0 numpy==2.4.6
"$folder/venv/bin/python" - <<'PY'
from importlib.metadata import version

import numpy as np
from safetensors.numpy import load, save

print("safetensors", version("safetensors"))
x = np.arange(12.0).reshape(3, 4)
views = {"transpose": x.T, "every second column": x[:, ::2], "Fortran order": np.asfortranarray(x)}
back = {name: load(save({"x": view}))["x"] for name, view in views.items()}
for name, view in views.items():
    print(name, view.tolist(), "comes back as", back[name].tolist())
    assert back[name].shape == view.shape and not np.array_equal(back[name], view), name
    assert np.array_equal(load(save({"x": np.ascontiguousarray(view)}))["x"], view), name
PY
