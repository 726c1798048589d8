import type { Costs } from './model.js';
import { EM, MANY } from './works.js';

/* From what one core was measured to do to works that no machine at hand can hold: by counts of multiplications. */

/** ImageNet's training images, and as many axes as keep 90% of the variance of their latents. */
const ROWS = 1_281_167;
const AXES = 320;
const DOUBLE_BYTES = 8;

/** An iteration of full-covariance EM on those latents, one rank a node. */
export function emOnPaper({ fixed, divided }: Costs, components: number, cores: number): Costs {
  const k = components / EM.components;
  const d = AXES / EM.dims;
  return {
    // Products of rows cost d² each, factors of covariances d³; one rank's measurement counts these as fixed, though ranks share them out.
    fixed: (fixed * k * d ** 3) / cores,
    divided: (divided * k * d ** 2 * (ROWS / EM.rows)) / cores,
    beside: 0,
    bytes: DOUBLE_BYTES * components * (1 + AXES + (AXES * (AXES + 1)) / 2),
    calls: 3,
  };
}

const BATCH = 256;
const PARAMETERS = 20e6;

/** A training step of the 20 M diffusion model on a batch of 256, whose gradients are all sent after it: no work hides them. */
export const trainingOnPaper = ({ fixed, divided }: Costs, cores: number): Costs => ({
  fixed: fixed / cores,
  divided: (divided / MANY / cores) * BATCH,
  beside: 0,
  bytes: 4 * PARAMETERS,
  calls: 4,
});
