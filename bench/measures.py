"""The peer of measures.ts: the measures in PyTorch as their authors compute them, batch by batch where they can be, VIV
with an SVD per class and alternation. `measures.py FOLDER CLASSES THREADS`, CLASSES
those that VIV is computed of; each line on stdin names what to compute."""

import glob
import json
import math
import os
import sys

import numpy as np
import torch
from helpers.cost import measured
from safetensors import safe_open

BATCH = 256
folder, classes, threads = sys.argv[1:]
torch.set_num_threads(int(threads))
with open(os.path.join(folder, "latents.json")) as file:
    described = json.load(file)
height, width = described["grid"]
mean, std = (torch.tensor(described[key], dtype=torch.float32).view(1, -1, 1, 1) for key in ("mean", "std"))
shards = sorted(glob.glob(os.path.join(folder, "*.safetensors")))
y, x = np.divmod(np.arange(height * width), width)
distances = torch.from_numpy(abs(y[:, None] - y) + abs(x[:, None] - x))


def batches():
    """Standardised latents [n, c, h, w]."""
    for path in shards:
        with safe_open(path, framework="pt") as shard:
            latents = shard.get_slice("latents")
            for start in range(0, latents.get_shape()[0], BATCH):
                yield (latents[start : start + BATCH] - mean) / std


def basis(n):
    k = torch.arange(n, dtype=torch.float64)
    rows = torch.cos(math.pi * (2 * k[None] + 1) * k[:, None] / (2 * n)) * math.sqrt(2 / n)
    rows[0] /= math.sqrt(2)
    return rows.float()


def one_pass():
    down, across = basis(height), basis(width)
    energy, images, sums = 0, 0, {"lds": 0.0, "cds": 0.0, "rmsc": 0.0}
    steps = torch.arange(1, 9, dtype=torch.float32)
    steps = steps - steps.mean()
    rings = [distances == d for d in range(1, 9)]
    far = distances >= 6
    for z in batches():
        energy = energy + (down @ z @ across.T).square().mean(1).sum(0).double()
        images += len(z)
        unit = torch.nn.functional.normalize(z.flatten(2).transpose(1, 2), dim=-1)
        cosines = unit @ unit.transpose(1, 2)
        by_ring = torch.stack([cosines[:, ring].mean(1) for ring in rings], 1)
        sums["lds"] += float((by_ring[:, 0] - cosines.masked_fill(~far, 0).sum((1, 2)) / far.sum()).sum())
        sums["cds"] -= float(((by_ring - by_ring.mean(1, keepdim=True)) @ steps / (steps @ steps)).sum())
        sums["rmsc"] += float((unit - unit.mean(1, keepdim=True)).square().sum(-1).mean(1).sqrt().sum())
    energy = (energy / images).numpy()
    manhattan = np.add.outer(np.arange(height), np.arange(width))
    radius = np.hypot(*np.meshgrid(np.arange(height) / height, np.arange(width) / width, indexing="ij"))
    ring = np.floor(radius * min(height, width) + 0.5).astype(int)
    of_ring = [ring == r for r in range(1, ring.max() + 1) if (ring == r).any()]
    logs = np.log([[radius[at].mean(), energy[at].mean()] for at in of_ring])
    return {
        "sec_25": energy[manhattan > 0.25 * (height + width - 2)].sum() / energy.sum(),
        "sec_50": energy[manhattan > 0.5 * (height + width - 2)].sum() / energy.sum(),
        "slope": -np.polyfit(logs[:, 0], logs[:, 1], 1)[0],
        **{name: value / images for name, value in sums.items()},
    }


def of_class(z):
    n, channels, tokens = z.shape
    total = z.flatten(1).var(0, unbiased=False).sum()
    z = z - z.mean(0)
    without = z
    for _ in range(5):
        tall = without.transpose(1, 2).reshape(-1, channels)
        _, s, axes = torch.linalg.svd(tall, full_matrices=False)
        of_channels = s**2 / (len(tall) - 1)
        whitened = (z.transpose(1, 2) @ (axes.T / torch.sqrt(of_channels + 1e-12))).transpose(1, 2)
        tall = whitened.reshape(-1, tokens)
        _, s, axes = torch.linalg.svd(tall, full_matrices=False)
        of_positions = s**2 / (len(tall) - 1)
        without = z @ (axes.T / torch.sqrt(of_positions + 1e-12))
    values = torch.outer(of_channels, of_positions).flatten()
    values = values * total / values.sum()
    return float((math.pi / 2 * values.sqrt()).mean()), float(total) / (channels * tokens)


def velocities():
    labels = []
    for path in shards:
        with safe_open(path, framework="pt") as shard:
            labels.append(shard.get_tensor("labels"))
    labels, start, latents = torch.cat(labels), 0, []
    for batch in batches():
        latents.append(batch.flatten(2)[labels[start : start + len(batch)] < int(classes)])
        start += len(batch)
    labels, latents = labels[labels < int(classes)], torch.cat(latents)
    found = [of_class(latents[labels == k]) for k in labels.unique() if (labels == k).sum() >= 4]
    viv, share = np.mean(found, 0)
    return {"viv": viv, "within_class_share": share}


def say(**line):
    print(json.dumps(line), flush=True)


say(torch=torch.__version__)
works = {"one pass": one_pass, "VIV": velocities}
for line in iter(sys.stdin.readline, ""):
    answer, cost = measured(works[line.strip()])
    say(**cost, answer={name: float(value) for name, value in answer.items()})
