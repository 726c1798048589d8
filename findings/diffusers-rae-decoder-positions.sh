#!/usr/bin/env bash
# diffusers 0.42.1, AutoencoderRAE (found by comparing our decoder's positions with the class's): the fixed sin-cos
# positions of its ViT-MAE decoder are spread over 16 steps whatever the grid, because the helper that makes them, written for
# diffusion transformers, takes a base size of 16: 32 × 32 tokens go by halves, 8 × 8 by twos. MAE's and RAE's own code has
# one step per token. The table is no part of the saved weights, so only a 16 × 16 grid is sure to decode as it was trained.
# One would have expected MAE's positions at every grid, or those in the weights.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.13.0 numpy==2.4.6 diffusers==0.42.1 transformers==5.24.0
"$folder/venv/bin/python" - <<'PY'
import diffusers
import numpy as np
import torch
from diffusers import AutoencoderRAE

print("diffusers", diffusers.__version__)


def of_diffusers(grid):
    model = AutoencoderRAE(
        encoder_type="dinov2", encoder_hidden_size=64, encoder_num_hidden_layers=1, encoder_patch_size=14,
        encoder_input_size=14 * grid, patch_size=16, decoder_hidden_size=32, decoder_num_hidden_layers=1,
        decoder_num_attention_heads=4, decoder_intermediate_size=64,
    )
    assert not any(key.startswith("decoder.") and "pos_embed" in key for key in model.state_dict()), "saved after all"
    return model.decoder.decoder_pos_embed[0, 1:]


def of_mae(grid, width=32):
    frequencies = 1 / 10000 ** (np.arange(width // 4) / (width / 4))
    rows, columns = np.meshgrid(np.arange(grid), np.arange(grid), indexing="ij")
    angles = [np.outer(places.ravel(), frequencies) for places in (columns, rows)]
    return torch.tensor(np.concatenate([f(a) for a in angles for f in (np.sin, np.cos)], 1)).float()


apart = {grid: float((of_diffusers(grid) - of_mae(grid)).abs().max()) for grid in (8, 16, 32)}
print("largest difference from MAE's table, by the grid's side:", apart)
assert apart[16] < 1e-6 and apart[8] > 0.5 and apart[32] > 0.5, apart
PY
