#!/usr/bin/env bash
# torch 2.13.0 (found by comparing our reader of checkpoints with torch.load): torch.save in its older form
# (_use_new_zipfile_serialization=False) writes tensors of float8, uint16/32/64 and complex32 without complaint, and
# torch.load(weights_only=True), the default, cannot read them back: the storage it makes is untyped, and the legacy
# loader asks it for a dtype. float32 in the same form, and the same tensors in the newer form, are read.
# One would have expected that a library loads what it saves, whatever the dtype, or refuses to save it.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.13.0 numpy==2.4.6
"$folder/venv/bin/python" - "$folder" <<'PY'
import sys

import torch

print("torch", torch.__version__)
found = {}
for name in ("float32", "bfloat16", "float8_e4m3fn", "float8_e5m2", "uint16", "uint32", "complex32"):
    x = torch.tensor([0, 1, 2]).to(getattr(torch, name))
    for zipped in (True, False):
        path = f"{sys.argv[1]}/{name}.pt"
        torch.save({"x": x}, path, _use_new_zipfile_serialization=zipped)
        try:
            same = torch.load(path)["x"].to(torch.complex64).equal(x.to(torch.complex64))
            found[name, zipped] = "read" if same else "wrong"
        except Exception as error:
            found[name, zipped] = "refused"
            print(name, "zip" if zipped else "legacy", type(error).__name__, str(error).splitlines()[0][:90])
print(found)
assert all(found[name, True] == "read" for name, zipped in found if zipped), found
assert found["float32", False] == found["bfloat16", False] == "read", found
assert all(found[name, False] == "refused" for name in ("float8_e4m3fn", "float8_e5m2", "uint16", "uint32", "complex32")), found
PY
