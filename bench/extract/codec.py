"""The peer of codec.ts: published tokenizers in PyTorch, eager or compiled, as diffusers has them, with random weights.
The eager one writes the weights as `save_pretrained` does, images in [-1, 1], latents [n, tokens, channels] and decoded
images [n, height, width, 3]. Answers each line on stdin, `encode f32`, with what the pass over all images cost."""

import json
import sys
from pathlib import Path

import diffusers
import numpy as np
import torch
from diffusers import AutoencoderKL, AutoencoderKLFlux2, AutoencoderKLQwenImage, AutoencoderRAE
from torch.utils.flop_counter import FlopCounterMode

sys.path.append(str(Path(__file__).parent.parent))
from helpers.cost import measured  # noqa: E402


class Rae:
    """DINOv2-B at 224 pixels and the decoder of ViT-XL's size (Zheng et al. 2025)."""

    side = 256

    def __init__(self, quick):
        decoder = dict(hidden_size=1152, num_hidden_layers=28, num_attention_heads=16, intermediate_size=4096)
        if quick:
            decoder = dict(hidden_size=64, num_hidden_layers=2, num_attention_heads=4, intermediate_size=128)
        encoder = dict(encoder_hidden_size=64, encoder_num_hidden_layers=2) if quick else {}
        sizes = dict(encoder_input_size=56, image_size=64) if quick else dict(image_size=256)
        decoder = {f"decoder_{key}": value for key, value in decoder.items()}
        self.model = AutoencoderRAE(**decoder, **encoder, **sizes)
        self.side = sizes["image_size"]

    def encode(self, images):
        return tokens(self.model.encode(images / 2 + 0.5).latent)

    def decode(self, latents):
        return self.model.decode(grid(latents)).sample * 2 - 1


class Flux2:
    """2 × 2 latents of 32 channels are one of 128, normalised by the statistics of a batch normalisation."""

    side = 256

    def __init__(self, quick):
        small = dict(block_out_channels=(32, 32, 64, 64), layers_per_block=1, latent_channels=4)
        self.model = AutoencoderKLFlux2(**(small if quick else {}))
        self.side = 64 if quick else 256
        self.mean = self.model.bn.running_mean.view(1, -1, 1, 1)
        self.std = torch.sqrt(self.model.bn.running_var.view(1, -1, 1, 1) + self.model.config.batch_norm_eps)

    def encode(self, images):
        z = torch.nn.functional.pixel_unshuffle(self.model.encode(images).latent_dist.mode(), 2)
        return tokens((z - self.mean) / self.std)

    def decode(self, latents):
        z = torch.nn.functional.pixel_shuffle(grid(latents) * self.std + self.mean, 2)
        return self.model.decode(z).sample


class QwenImage:
    """Also Wan 2.1's: an image is a film of one frame."""

    def __init__(self, quick):
        self.model = AutoencoderKLQwenImage(**(dict(base_dim=16, num_res_blocks=1) if quick else {}))
        self.side = 64 if quick else 256
        self.mean = torch.tensor(self.model.config.latents_mean).view(1, -1, 1, 1)
        self.std = torch.tensor(self.model.config.latents_std).view(1, -1, 1, 1)

    def encode(self, images):
        z = self.model.encode(images.unsqueeze(2)).latent_dist.mode().squeeze(2)
        return tokens((z - self.mean) / self.std)

    def decode(self, latents):
        z = grid(latents) * self.std + self.mean
        return self.model.decode(z.unsqueeze(2)).sample.squeeze(2)


class Flux1:
    """The autoencoder of latent diffusion with 16 channels, as FLUX.1 and Stable Diffusion 3 have it."""

    def __init__(self, quick):
        widths = (32, 32, 64, 64) if quick else (128, 256, 512, 512)
        kinds = dict(
            down_block_types=("DownEncoderBlock2D",) * 4,
            up_block_types=("UpDecoderBlock2D",) * 4,
        )
        bare = dict(use_quant_conv=False, use_post_quant_conv=False, scaling_factor=0.3611, shift_factor=0.1159)
        self.model = AutoencoderKL(
            block_out_channels=widths, layers_per_block=2, latent_channels=16, **kinds, **bare
        )
        self.side = 64 if quick else 256

    def encode(self, images):
        return tokens((self.model.encode(images).latent_dist.mode() - 0.1159) * 0.3611)

    def decode(self, latents):
        return self.model.decode(grid(latents) / 0.3611 + 0.1159).sample


SYSTEMS = {"rae": Rae, "flux2": Flux2, "qwen-image": QwenImage, "flux1": Flux1}


def tokens(z):
    return z.flatten(2).transpose(1, 2)


def grid(latents):
    n, t, c = latents.shape
    side = int(t**0.5)
    return latents.transpose(1, 2).reshape(n, c, side, side)


def write_case(system, images, folder):
    """What our side reads and is compared with; the counts of each work's floating-point operations."""
    system.model.save_pretrained(folder / "weights")
    with torch.inference_mode():
        with FlopCounterMode(display=False) as encoding:
            latents = system.encode(images)
        with FlopCounterMode(display=False) as decoding:
            decoded = system.decode(latents)
    np.save(folder / "images.npy", images.permute(0, 2, 3, 1).contiguous().numpy())
    np.save(folder / "latents.npy", latents.contiguous().numpy())
    np.save(folder / "decoded.npy", decoded.permute(0, 2, 3, 1).contiguous().numpy())
    return {"encode": encoding.get_total_flops(), "decode": decoding.get_total_flops()}


def main():
    name, folder, count, threads, size, way = sys.argv[1:]
    folder = Path(folder)
    torch.set_num_threads(int(threads))
    torch.manual_seed(0)
    system = SYSTEMS[name](size == "quick")
    system.model.eval()
    images = torch.rand(int(count), 3, system.side, system.side) * 2 - 1
    works = {"encode": system.encode, "decode": system.decode}
    ready = {"torch": torch.__version__, "diffusers": diffusers.__version__, "side": system.side}
    if way == "eager":
        ready["flops"] = write_case(system, images, folder)
    else:
        works = {work: torch.compile(function) for work, function in works.items()}
    given = {"encode": images, "decode": torch.from_numpy(np.load(folder / "latents.npy"))}
    print(json.dumps(ready), flush=True)
    for line in sys.stdin:
        work, precision = line.split()

        def run():
            with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
                works[work](given[work])

        _, cost = measured(run)
        print(json.dumps(cost), flush=True)


if __name__ == "__main__":
    main()
