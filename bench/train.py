"""The peer of train.ts: the same MAETok or SiT in PyTorch, eager or compiled. Reads weights and inputs from a safetensors
file and answers each line on stdin ("step") with one line of JSON: the loss and the step's cost."""

import json
import sys

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from helpers.cost import measured
from sample import Attention, Mlp, SiT, as_asked
from torch import nn


def turn(x, rotation, patches):
    """Rotates the patch tokens' adjacent pairs by a complex product."""
    pairs = torch.view_as_complex(x[:, :, patches].float().reshape(*x.shape[:2], rotation.shape[-2], -1, 2))
    turned = torch.view_as_real(pairs * rotation).flatten(-2).type_as(x)
    return torch.cat([x[:, :, : patches.start], turned, x[:, :, patches.stop :]], dim=2)


class Scale(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(width))

    def forward(self, x):
        return x * self.gamma


class PlainBlock(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width, eps=1e-6), nn.LayerNorm(width, eps=1e-6)
        self.attn, self.mlp = Attention(width, heads), Mlp(width)
        self.ls1, self.ls2 = Scale(width), Scale(width)

    def forward(self, x, z, rotation, patches):
        x = x + self.ls1(self.attn(self.norm1(x), lambda q: turn(q, rotation, patches)))
        return x + self.ls2(self.mlp(self.norm2(x)))


class ModulatedBlock(nn.Module):
    def __init__(self, width, heads, channels):
        super().__init__()
        self.attn, self.mlp = Attention(width, heads), Mlp(width)
        self.adaLN_modulation = nn.Sequential(nn.SiLU(), nn.Linear(channels, 4 * width))

    def forward(self, x, z, rotation, patches):
        shift1, scale1, shift2, scale2 = self.adaLN_modulation(z).chunk(4, dim=-1)
        x = x + self.attn(modulated(x, shift1, scale1), lambda q: turn(q, rotation, patches))
        return x + self.mlp(modulated(x, shift2, scale2))


def modulated(x, shift, scale):
    normal = F.layer_norm(x, x.shape[-1:], eps=1e-6)
    latents = shift.shape[1]
    return torch.cat([normal[:, :-latents], normal[:, -latents:] * scale + shift], dim=1)


class PatchEmbed(nn.Module):
    def __init__(self, width, patch):
        super().__init__()
        self.proj = nn.Conv2d(3, width, patch, patch)


class Trunk(nn.Module):
    def __init__(self, blocks):
        super().__init__()
        self.blocks = nn.ModuleList(blocks)


class Stack(nn.Module):
    """What encoder and decoder share: blocks under mixed rotary positions."""

    def __init__(self, config, blocks):
        super().__init__()
        self.side = config["imageSize"] // config["patchSize"]
        self.model = Trunk(blocks)
        width = config["encoder"]["width"]
        self.freqs = nn.Parameter(torch.zeros(2, len(blocks), width // 2))
        self.heads = config["encoder"]["heads"]

    def run(self, x, z, start):
        n = self.side**2
        at = torch.arange(n)
        columns, rows = (at % self.side).float(), (at // self.side).float()
        patches = slice(start, start + n)
        with torch.autocast("cpu", enabled=False):
            angles = columns[:, None, None] * self.freqs[0] + rows[:, None, None] * self.freqs[1]
            rotations = torch.polar(torch.ones_like(angles), angles).unflatten(-1, (self.heads, -1)).permute(1, 2, 0, 3)
        for block, rotation in zip(self.model.blocks, rotations):
            x = block(x, z, rotation, patches)
        return x


class Encoder(Stack):
    def __init__(self, config):
        width, depth, heads = (config["encoder"][key] for key in ("width", "depth", "heads"))
        super().__init__(config, [PlainBlock(width, heads) for _ in range(depth)])
        self.latents = config["latentTokens"]
        self.model.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        self.model.pos_embed = nn.Parameter(torch.zeros(1, 1 + self.side**2, width))
        self.model.patch_embed = PatchEmbed(width, config["patchSize"])
        self.model.norm = nn.LayerNorm(width, eps=1e-6)
        self.mask_token = nn.Parameter(torch.zeros(1, 1, width))
        self.latent_tokens = nn.Parameter(torch.zeros(1, self.latents, width))
        self.latent_pos_embed = nn.Parameter(torch.zeros(1, self.latents, width))

    def forward(self, images, mask):
        n = images.shape[0]
        x = self.model.patch_embed.proj(images).flatten(2).transpose(1, 2)
        x = torch.where(mask[:, :, None] > 0, self.mask_token.to(x.dtype), x)
        x = torch.cat([self.model.cls_token.expand(n, -1, -1), x], dim=1) + self.model.pos_embed
        x = torch.cat([x, (self.latent_tokens + self.latent_pos_embed).expand(n, -1, -1)], dim=1)
        return self.model.norm(self.run(x, None, 1))[:, -self.latents :]


class ToPixel(nn.Module):
    def __init__(self, width, patch):
        super().__init__()
        self.model = nn.Linear(width, 3 * patch**2)


class Decoder(Stack):
    def __init__(self, config):
        width, depth, heads = (config["decoder"][key] for key in ("width", "depth", "heads"))
        plain = config["decoder"]["kind"] == "plain"
        block = (lambda: PlainBlock(width, heads)) if plain else lambda: ModulatedBlock(width, heads, config["latentChannels"])
        super().__init__(config, [block() for _ in range(depth)])
        if plain:
            self.model.norm = nn.LayerNorm(width, eps=1e-6)
        self.patch = config["patchSize"]
        self.mask_token = nn.Parameter(torch.zeros(1, 1, width))
        self.latent_pos_embed = nn.Parameter(torch.zeros(1, config["latentTokens"], width))
        self.to_pixel = ToPixel(width, self.patch)

    def forward(self, lifted, z):
        n, count = lifted.shape[0], self.side**2
        x = torch.cat([self.mask_token.expand(n, count, -1), lifted + self.latent_pos_embed], dim=1)
        x = self.run(x, z, 0)[:, :count]
        norm = getattr(self.model, "norm", lambda x: F.layer_norm(x, x.shape[-1:], eps=1e-6))
        pixels = self.to_pixel.model(norm(x))
        grid = pixels.reshape(n, self.side, self.side, self.patch, self.patch, 3)
        return grid.permute(0, 5, 1, 3, 2, 4).reshape(n, 3, self.side * self.patch, self.side * self.patch)


class Tokenizer(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.encoder, self.decoder = Encoder(config), Decoder(config)
        self.quant_conv = nn.Linear(config["encoder"]["width"], config["latentChannels"])
        self.post_quant_conv = nn.Linear(config["latentChannels"], config["decoder"]["width"])

    def forward(self, images, mask):
        z = self.quant_conv(self.encoder(images, mask))
        return self.decoder(self.post_quant_conv(z), z)


def maetok_step(config, tensors):
    images, mask = tensors["data.images"].permute(0, 3, 1, 2).contiguous(), tensors["data.mask"]
    return Tokenizer(config), 1e-4, lambda model: F.mse_loss(model(images, mask).float(), images)


def sit_step(config, tensors):
    model = SiT(**config)
    model.pos_embed.requires_grad_(False)
    noisy, velocity, times = (tensors[f"data.{name}"] for name in ("noisy", "velocity", "times"))
    labels = tensors["data.labels"].long()
    return model, 0.0, lambda model: F.mse_loss(model(noisy, times, labels).float(), velocity)


def main():
    path, config, precision, threads, work, way = sys.argv[1], json.loads(sys.argv[2]), *sys.argv[3:]
    torch.set_num_threads(int(threads))
    tensors = load_file(path)
    model, decay, loss_of = {"maetok": maetok_step, "sit": sit_step}[work](config, tensors)
    model.load_state_dict({name: x for name, x in tensors.items() if not name.startswith("data.")})
    model.train()
    moving = [p for p in model.parameters() if p.requires_grad]
    matrices, vectors = [p for p in moving if p.ndim > 1], [p for p in moving if p.ndim <= 1]
    groups = [{"params": matrices, "weight_decay": decay}, {"params": vectors, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=1e-4, betas=(0.9, 0.95))
    model = as_asked(model, way)
    del tensors

    def step():
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
            loss = loss_of(model)
        loss.backward()
        nn.utils.clip_grad_norm_(moving, 1.0)
        optimizer.step()
        return loss.item()

    print(json.dumps({"torch": torch.__version__}), flush=True)
    for _ in sys.stdin:
        loss, cost = measured(step)
        print(json.dumps({"loss": loss, **cost}), flush=True)


if __name__ == "__main__":
    main()
