#!/usr/bin/env bash
# diffusers 0.42.1, FlowMatchEulerDiscreteScheduler (found by comparing our shifted sampling times with its own): with a
# static shift s, set_timesteps(n) without sigmas shifts the lowest noise level twice. The constructor keeps sigma_min
# after the shift; set_timesteps then spaces its grid from 1 down to that value and shifts the grid again, so that the last
# step before the data starts at s²σ / (1 + (s² − 1) σ) instead of s σ / (1 + (s − 1) σ) with σ = 1/1000, whatever n: 0.046
# instead of 0.0069 at RAE's shift of 6.93, a last step six times as long, and every level between moves with it. The same n
# levels given as explicit sigmas are shifted once. One would have expected set_timesteps(n) to shift an even grid once, as
# the papers that introduced the shift do.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.13.0 numpy==2.4.6 diffusers==0.42.1
"$folder/venv/bin/python" - <<'PY'
import diffusers
import numpy as np
from diffusers import FlowMatchEulerDiscreteScheduler

print("diffusers", diffusers.__version__)
SHIFT, LOWEST = 6.93, 1 / 1000


def shifted(sigma):
    return SHIFT * sigma / (1 + (SHIFT - 1) * sigma)


scheduler = FlowMatchEulerDiscreteScheduler(num_train_timesteps=1000, shift=SHIFT)
for steps in (5, 50):
    even = np.linspace(1, LOWEST, steps)
    scheduler.set_timesteps(steps)
    by_number = scheduler.sigmas.numpy()[:-1].copy()
    scheduler.set_timesteps(sigmas=even.tolist())
    by_sigmas = scheduler.sigmas.numpy()[:-1].copy()
    print(f"{steps} steps: last level {by_number[-1]:.5f} by number, {by_sigmas[-1]:.5f} by sigmas")
    assert np.allclose(by_sigmas, shifted(even), atol=1e-6), "explicit sigmas are not shifted once"
    assert np.isclose(by_number[-1], shifted(shifted(LOWEST)), atol=1e-6), "this has changed"
PY
