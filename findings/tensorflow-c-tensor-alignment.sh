#!/usr/bin/env bash
# tensorflow 2.21.0, TF_NewTensor of its C API, on which tfjs-node stands (found by counting the memory of a process that makes
# tensors of large arrays): memory that does not begin at a multiple of 64 bytes is copied, and the deallocator is called before the
# function returns. glibc begins a large block 16 bytes behind a page, and V8 and numpy put arrays right there, so that a large
# array is never shared, although tfjs-node keeps a reference to it for that purpose: every tensor takes its memory twice.
# One would have expected, of a function that takes over memory with a deallocator so that numpy's can be passed in, that the tensor
# lies where the data were, and that the deallocator waits for TF_DeleteTensor.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check tensorflow-cpu==2.21.0
"$folder/venv/bin/python" - <<'PY'
import ctypes
from importlib.metadata import files, version

print("tensorflow", version("tensorflow-cpu"))
(path,) = [file.locate() for file in files("tensorflow-cpu") if file.name == "libtensorflow_framework.so.2"]
library = ctypes.CDLL(str(path))
Deallocator = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_void_p)
library.TF_NewTensor.restype = ctypes.c_void_p
library.TF_NewTensor.argtypes = [
    ctypes.c_int, ctypes.POINTER(ctypes.c_int64), ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t, Deallocator, ctypes.c_void_p,
]
library.TF_TensorData.restype = ctypes.c_void_p
library.TF_TensorData.argtypes = [ctypes.c_void_p]
library.TF_DeleteTensor.argtypes = [ctypes.c_void_p]

FLOAT, COUNT = 1, 1 << 20
memory = ctypes.create_string_buffer(4 * COUNT + 256)
whole = -(-ctypes.addressof(memory) // 64) * 64
shared = {}
for offset in (0, 4, 8, 16, 32, 48, 64):
    freed = []
    deallocate = Deallocator(lambda *_: freed.append(True))
    data = whole + offset
    tensor = library.TF_NewTensor(FLOAT, (ctypes.c_int64 * 1)(COUNT), 1, data, 4 * COUNT, deallocate, None)
    shared[offset] = library.TF_TensorData(tensor) == data
    assert shared[offset] == (not freed), offset
    library.TF_DeleteTensor(tensor)
    assert freed == [True], offset
    print(f"{offset:2} bytes behind a multiple of 64:", "shared" if shared[offset] else "copied, deallocator called at once")
assert shared == {0: True, 4: False, 8: False, 16: False, 32: False, 48: False, 64: True}, shared
PY
