"""The peer of scale.ts: the same SiT under PyTorch's DistributedDataParallel (gloo), or alone where WORLD_SIZE is 1. Rank 0
prints one line of JSON: the median seconds of a step of so many batches and the last loss."""

import contextlib
import json
import os
import pathlib
import statistics
import sys
import time

import torch
import torch.distributed as dist
from safetensors.torch import load_file
from torch import nn

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))
from train import sit_step  # noqa: E402


def main():
    path, config, accumulate, steps = sys.argv[1], json.loads(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
    rank, size = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
    torch.set_num_threads(1)
    tensors = load_file(path)
    model, _, loss_of = sit_step(config, tensors)
    model.load_state_dict({name: x for name, x in tensors.items() if not name.startswith("data.")})
    model.train()
    moving = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(moving, lr=1e-4, betas=(0.9, 0.95), weight_decay=0.0)
    whole = model
    if size > 1:
        dist.init_process_group("gloo")
        model = nn.parallel.DistributedDataParallel(model)
    parts = accumulate // size
    seconds = []
    for _ in range(steps):
        began = time.perf_counter()
        optimizer.zero_grad(set_to_none=True)
        for part in range(parts):
            last = part == parts - 1
            with contextlib.nullcontext() if last or size == 1 else model.no_sync():
                loss = loss_of(model)
                (loss / parts).backward()
        nn.utils.clip_grad_norm_(whole.parameters(), 1.0)
        optimizer.step()
        seconds.append(time.perf_counter() - began)
    if rank == 0:
        print(json.dumps({"seconds": statistics.median(seconds[1:]), "answer": loss.item()}), flush=True)
    if size > 1:
        dist.destroy_process_group()


if __name__ == "__main__":
    main()
