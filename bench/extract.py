"""The peer of extract.ts: MAETok's encoder in PyTorch eager. Reads weights and images from a safetensors file, answers
each line on stdin with the seconds that encoding all images took, and leaves the latents [n, tokens, channels]."""

import json
import sys
import time

import numpy as np
import torch
from safetensors.torch import load_file
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
    path, config, out, batch, threads = sys.argv[1:]
    torch.set_num_threads(int(threads))
    tensors = load_file(path)
    images = tensors.pop("images").permute(0, 3, 1, 2).contiguous()
    model = Tokenizer(json.loads(config))
    model.load_state_dict(tensors)
    model.eval()
    print(json.dumps({"torch": torch.__version__}), flush=True)
    for _ in sys.stdin:
        start = time.perf_counter()
        with torch.inference_mode():
            latents = [model(part) for part in images.split(int(batch))]
        seconds = time.perf_counter() - start
        np.save(out, torch.cat(latents).contiguous().numpy())
        print(json.dumps({"seconds": seconds}), flush=True)


if __name__ == "__main__":
    main()
