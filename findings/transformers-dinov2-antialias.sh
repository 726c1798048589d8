#!/usr/bin/env bash
# transformers 5.24.0, Dinov2Model and Dinov2WithRegistersModel (found by comparing our reader with both at other image
# sizes): the position table is resized bicubically without antialiasing in the first and with it in the second. The two
# make different tables of the same numbers at every size but the table's own, also at larger ones, where antialiasing has
# nothing to smooth but PyTorch's bicubic filter has another shape (a = -0.5 in place of -0.75).
# One would have expected the two classes, which differ by four tokens, to see positions alike.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.13.0 numpy==2.4.6 transformers==5.24.0
"$folder/venv/bin/python" - <<'PY'
import torch
import transformers
from transformers import Dinov2Config, Dinov2Model, Dinov2WithRegistersConfig, Dinov2WithRegistersModel

print("transformers", transformers.__version__)
sizes = dict(hidden_size=48, num_hidden_layers=1, num_attention_heads=3, image_size=14 * 12, patch_size=14)
plain = Dinov2Model(Dinov2Config(**sizes)).embeddings
registers = Dinov2WithRegistersModel(Dinov2WithRegistersConfig(**sizes)).embeddings
table = torch.randn(1, 145, 48, generator=torch.Generator().manual_seed(0))
for embeddings in (plain, registers):
    embeddings.position_embeddings.data = table


def resized(embeddings, grid):
    with torch.no_grad():
        return embeddings.interpolate_pos_encoding(torch.zeros(1, grid * grid + 1, 48), 14 * grid, 14 * grid)


apart = {grid: float((resized(plain, grid) - resized(registers, grid)).abs().max()) for grid in (6, 12, 18)}
print("largest difference of the two tables, by the grid's side (stored: 12):", apart)
assert apart[6] > 0.1 and apart[12] == 0 and apart[18] > 0.1, apart
PY
