#!/usr/bin/env bash
# diffusers 0.42.1 beside transformers 5.24.0, AutoencoderRAE (found by building each of its encoders): encoder_type
# "siglip2", one of the three that its documentation names, raises AttributeError while the model is being built. diffusers
# takes the affine numbers of the encoder's last norm away under vision_model.post_layernorm, a level that transformers'
# SiglipVisionModel no longer has. "dinov2" and "mae" are built. RAE's published weights for SigLIP2 therefore
# do not open with this pair. One would have expected each documented encoder to be built by the pair of
# libraries that a plain installation brings.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.13.0 numpy==2.4.6 diffusers==0.42.1 transformers==5.24.0
"$folder/venv/bin/python" - <<'PY'
import diffusers
import transformers
from diffusers import AutoencoderRAE

print("diffusers", diffusers.__version__, "transformers", transformers.__version__)
for encoder, patch in (("dinov2", 14), ("mae", 16), ("siglip2", 16)):
    try:
        AutoencoderRAE(
            encoder_type=encoder, encoder_hidden_size=64, encoder_num_hidden_layers=1, encoder_patch_size=patch,
            encoder_input_size=4 * patch, patch_size=16, decoder_hidden_size=32, decoder_num_hidden_layers=1,
            decoder_num_attention_heads=4, decoder_intermediate_size=64,
        )
        outcome = "built"
    except AttributeError as error:
        outcome = f"AttributeError: {error}"
    print(f"encoder_type={encoder}: {outcome}")
    assert (outcome == "built") == (encoder != "siglip2"), "this has changed"
PY
