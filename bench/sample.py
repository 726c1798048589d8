"""The peer of sample.ts: SiT in PyTorch, eager or compiled, Euler steps under classifier-free guidance. Reads
weights from a safetensors file, starting noise and labels from FILE, answers each line on stdin ("sample") with one line of
JSON, the cost, and leaves the latents in FILE.eager or FILE.compiled."""

import json
import sys

import torch
import torch.nn.functional as F
from helpers.cost import measured
from safetensors.torch import load_file, save_file
from torch import nn


class Attention(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, x, turn=lambda queries_or_keys: queries_or_keys):
        n, t, c = x.shape
        q, k, v = self.qkv(x).reshape(n, t, 3, self.heads, c // self.heads).permute(2, 0, 3, 1, 4).unbind(0)
        mixed = F.scaled_dot_product_attention(turn(q), turn(k), v)
        return self.proj(mixed.transpose(1, 2).reshape(n, t, c))


class Mlp(nn.Module):
    def __init__(self, width, gelu="none"):
        super().__init__()
        self.gelu = gelu
        self.fc1 = nn.Linear(width, 4 * width)
        self.fc2 = nn.Linear(4 * width, width)

    def forward(self, x):
        return self.fc2(F.gelu(self.fc1(x), approximate=self.gelu))


def modulated(x, shift, scale):
    return F.layer_norm(x, x.shape[-1:], eps=1e-6) * (1 + scale[:, None]) + shift[:, None]


def modulation(width, parts):
    return nn.Sequential(nn.SiLU(), nn.Linear(width, parts * width))


class Block(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.attn, self.mlp = Attention(width, heads), Mlp(width, "tanh")
        self.adaLN_modulation = modulation(width, 6)

    def forward(self, x, c):
        shift1, scale1, gate1, shift2, scale2, gate2 = self.adaLN_modulation(c).chunk(6, dim=1)
        x = x + gate1[:, None] * self.attn(modulated(x, shift1, scale1))
        return x + gate2[:, None] * self.mlp(modulated(x, shift2, scale2))


class Times(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.mlp = nn.Sequential(nn.Linear(256, width), nn.SiLU(), nn.Linear(width, width))

    def forward(self, t):
        waves = torch.exp(-torch.arange(128) / 128 * torch.log(torch.tensor(10000.0)))
        angles = t[:, None] * waves
        return self.mlp(torch.cat([angles.cos(), angles.sin()], dim=-1))


class Labels(nn.Module):
    def __init__(self, width, classes):
        super().__init__()
        self.embedding_table = nn.Embedding(classes + 1, width)

    def forward(self, y):
        return self.embedding_table(y)


class Final(nn.Module):
    def __init__(self, width, channels):
        super().__init__()
        self.linear = nn.Linear(width, channels)
        self.adaLN_modulation = modulation(width, 2)

    def forward(self, x, c):
        return self.linear(modulated(x, *self.adaLN_modulation(c).chunk(2, dim=1)))


class SiT(nn.Module):
    def __init__(self, tokens, channels, width, depth, heads, classes, **_):
        super().__init__()
        self.x_embedder = nn.Linear(channels, width)
        self.pos_embed = nn.Parameter(torch.zeros(1, tokens, width))
        self.t_embedder, self.y_embedder = Times(width), Labels(width, classes)
        self.blocks = nn.ModuleList([Block(width, heads) for _ in range(depth)])
        self.final_layer = Final(width, channels)

    def forward(self, x, t, y):
        x = self.x_embedder(x) + self.pos_embed
        c = self.t_embedder(t) + self.y_embedder(y)
        for block in self.blocks:
            x = block(x, c)
        return self.final_layer(x, c)


@torch.inference_mode()
def sample(model, x, labels, null, times, guidance, precision):
    both = torch.cat([labels, torch.full_like(labels, null)])
    # Around the loop: within it autocast keeps the weights that it has cast.
    with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
        for t, after in zip(times, times[1:]):
            v = model(torch.cat([x, x]), torch.full((len(both),), t), both).float()
            conditional, unconditional = v.chunk(2)
            x = x + (after - t) * (unconditional + guidance * (conditional - unconditional))
    return x


def as_asked(model, way):
    """The model, eager or compiled; compiled at its first pass."""
    return torch.compile(model) if way == "compiled" else model


def main():
    weights, path, asked, precision, threads, way = sys.argv[1:]
    config, times, guidance = json.loads(asked)
    torch.set_num_threads(int(threads))
    inputs = load_file(path)
    start, labels = inputs["start"], inputs["labels"].long()
    model = SiT(**config).eval()
    model.load_state_dict(load_file(weights))
    model = as_asked(model, way)
    print(json.dumps({"torch": torch.__version__}), flush=True)
    for _ in sys.stdin:
        x, cost = measured(lambda: sample(model, start, labels, config["classes"], times, guidance, precision))
        save_file({"latents": x.contiguous()}, f"{path}.{way}")
        print(json.dumps(cost), flush=True)


if __name__ == "__main__":
    main()
