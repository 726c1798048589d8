#!/usr/bin/env bash
# transformers 5.24.0, ViTMAEForPreTraining and ViTMAEModel made from a config (found by recording a network with random
# weights): the fixed sin-cos position tables of encoder and decoder are all zero, and as they take no gradient, they stay so. The
# constructor fills the tables; the initialisation of weights that runs after it empties the decoder's and does not fill the
# encoder's. A network that is trained from a config cannot tell one patch from another, without a warning; checkpoints, which hold
# the tables, are not affected.
# One would have expected the tables of the paper, as in a network that is loaded.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.13.0 numpy==2.4.6 transformers==5.24.0
"$folder/venv/bin/python" - <<'PY'
import torch
import transformers
from transformers import ViTMAEConfig, ViTMAEForPreTraining

print("transformers", transformers.__version__)
config = ViTMAEConfig(
    image_size=64, patch_size=16, hidden_size=64, num_hidden_layers=1, num_attention_heads=1, intermediate_size=64,
    decoder_hidden_size=32, decoder_num_hidden_layers=1, decoder_num_attention_heads=4, decoder_intermediate_size=64,
)
model = ViTMAEForPreTraining(config).eval()
tables = {"encoder": model.vit.embeddings.position_embeddings, "decoder": model.decoder.decoder_pos_embed}
for name, table in tables.items():
    print(f"{name}: largest entry {float(table.abs().max())}, trained: {table.requires_grad}")
    assert float(table.abs().max()) == 0 and not table.requires_grad, name

# Two patches that change places do so in the output, and nothing else changes.
config.mask_ratio = 0.0
pixels = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
moved = pixels.clone()
moved[..., :16, :16], moved[..., 48:, 48:] = pixels[..., 48:, 48:], pixels[..., :16, :16]
noise = torch.arange(16.0)[None]
with torch.no_grad():
    before, after = (model.vit(pixel_values=x, noise=noise).last_hidden_state[0, 1:] for x in (pixels, moved))
order = [15, *range(1, 15), 0]
print("largest change beside the exchange:", float((after - before[order]).abs().max()))
assert torch.allclose(after, before[order], atol=1e-5)
PY
