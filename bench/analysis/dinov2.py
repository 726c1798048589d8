"""As DINOv2's evaluation trains them: a linear layer for each rate, all in one optimiser, losses added up."""

import numpy as np
import torch
from peer import serve

RATES = [1e-5, 2e-5, 5e-5, 1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 1e-2, 2e-2, 5e-2, 0.1]
BATCH = 128


def ready(parameters, folder, threads):
    rows, classes, steps = (int(parameters[name]) for name in ("rows", "classes", "steps"))
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    x = torch.from_numpy(np.load(f"{folder}/rows.npy"))
    labels = torch.from_numpy(np.load(f"{folder}/labels.npy")).long()

    def run():
        heads = [torch.nn.Linear(x.shape[1], classes) for _ in RATES]
        for head in heads:
            torch.nn.init.normal_(head.weight, std=0.01)
            torch.nn.init.zeros_(head.bias)
        groups = [{"params": head.parameters(), "lr": rate * BATCH / 256} for head, rate in zip(heads, RATES)]
        optimiser = torch.optim.SGD(groups, momentum=0.9)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps, eta_min=0)
        order = torch.empty(0, dtype=torch.long)
        for _ in range(steps):
            if len(order) < BATCH:
                order = torch.randperm(rows)
            batch, order = order[:BATCH], order[BATCH:]
            own, truth = x[batch], labels[batch]
            loss = sum(torch.nn.functional.cross_entropy(head(own), truth) for head in heads)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
        with torch.no_grad():
            accuracies = [(head(x[rows:]).argmax(1) == labels[rows:]).double().mean().item() for head in heads]
        return {"accuracy": max(accuracies)}

    return run


serve(f"PyTorch {torch.__version__}", ready)
