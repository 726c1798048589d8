"""The peer of extract.ts: MAETok's encoder in PyTorch, eager or compiled. Reads weights and images that lie in
FOLDER, answers each line on stdin with what encoding all images cost, and leaves the latents [n, tokens, channels] in
FOLDER/eager.npy or FOLDER/compiled.npy."""

import json
import sys
from pathlib import Path

import numpy as np
import torch
from helpers.cost import measured
from safetensors.torch import load_file
from sample import as_asked
from torch import nn
from train import Encoder


class Tokenizer(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.encoder = Encoder(config)
        self.quant_conv = nn.Linear(config["encoder"]["width"], config["latentChannels"])

    def forward(self, images):
        nothing = torch.zeros(images.shape[0], self.encoder.side**2)
        return self.quant_conv(self.encoder(images, nothing))


def main():
    config, folder, batch, threads, precision, way = sys.argv[1:]
    torch.set_num_threads(int(threads))
    images = load_file(f"{folder}/images.safetensors")["images"].permute(0, 3, 1, 2).contiguous()
    model = Tokenizer(json.loads(config))
    weights = load_file(f"{folder}/tokenizer/model.safetensors")
    model.load_state_dict({name: x for name, x in weights.items() if name.startswith(("encoder.", "quant_conv."))})
    del weights
    model = as_asked(model.eval(), way)

    def encode():
        # Around the loop: within it autocast keeps the weights that it has cast.
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
            return torch.cat([model(part) for part in images.split(int(batch))])

    print(json.dumps({"torch": torch.__version__}), flush=True)
    for _ in sys.stdin:
        latents, cost = measured(encode)
        np.save(Path(folder) / f"{way}.npy", latents.float().contiguous().numpy())
        print(json.dumps(cost), flush=True)


if __name__ == "__main__":
    main()
