#!/usr/bin/env bash
# diffusers 0.42.1, AutoencoderKLWan and AutoencoderKLQwenImage (found by asking which of their config's switches change
# latents): attn_scales, a documented argument that is written into every config.json of these VAEs, cannot be used. The
# model with attention at one scale is built and its weights are initialised, but the encoder hands every layer of a stage
# the cache of its causal convolutions, which the attention layers do not take: encoding raises TypeError. The published
# weights have attn_scales [] and never get there, so that a reader of such configs may refuse anything else.
# One would have expected attention after the residual blocks of that scale, as in the VAEs of latent diffusion.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.13.0 numpy==2.4.6 diffusers==0.42.1 transformers==5.24.0
"$folder/venv/bin/python" - <<'PY'
import diffusers
import torch
from diffusers import AutoencoderKLQwenImage, AutoencoderKLWan

print("diffusers", diffusers.__version__)
images = torch.zeros(1, 3, 1, 32, 32)
for kind in (AutoencoderKLWan, AutoencoderKLQwenImage):
    for scales in ([], [1.0]):
        model = kind(
            base_dim=8, z_dim=4, dim_mult=[1, 2], num_res_blocks=1, attn_scales=scales, temperal_downsample=[False]
        )
        try:
            with torch.no_grad():
                outcome = f"latents {list(model.encode(images).latent_dist.mean.shape)}"
        except TypeError as error:
            outcome = f"TypeError: {error}"
        print(f"{kind.__name__} attn_scales={scales}: {outcome}")
        assert outcome.startswith("TypeError") == bool(scales), "this has changed"
PY
