#!/usr/bin/env bash
# ml_dtypes 0.5.4 with NumPy 2.4.6 (found by writing .npy files of every float8 type): np.save writes an array of
# float8_e5m2 without complaint under the descriptor '<f1', which np.load then refuses, also in the process that wrote it and
# has ml_dtypes imported. Its sisters float8_e4m3fn and float8_e4m3fnuz, and int4, are written as '<V1': np.load returns raw
# bytes, and nothing in the file says which of the types they were.
# One would have expected all types of one byte to be written alike, and whatever np.save accepts to be readable by np.load.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check ml_dtypes==0.5.4 numpy==2.4.6
"$folder/venv/bin/python" - <<'PY'
import io
from importlib.metadata import version

import ml_dtypes
import numpy as np

print("ml_dtypes", version("ml_dtypes"), "numpy", np.__version__)
found = {}
for name in ["float8_e5m2", "float8_e4m3fn", "float8_e4m3fnuz", "int4"]:
    file = io.BytesIO()
    np.save(file, np.array([1, 2], dtype=getattr(ml_dtypes, name)))
    descriptor = file.getvalue().split(b"'")[3].decode()
    file.seek(0)
    try:
        back = str(np.load(file).dtype)
    except ValueError as error:
        back = f"refused: {error}"
    found[name] = (descriptor, back)
    print(f"{name}: written as {descriptor}, read back as {back}")
assert found["float8_e5m2"][0] == "<f1" and found["float8_e5m2"][1].startswith("refused"), found
assert all(found[name] == ("<V1", "|V1") for name in ["float8_e4m3fn", "float8_e4m3fnuz", "int4"]), found
PY
