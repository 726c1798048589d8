import { UserError } from '../../base/index.js';
import type { HostArray } from '../../nn/index.js';
import { standardising, type Normalisation } from '../normalisation.js';

/** diffusers' default for FLUX.2, and the constant of its authors' code. */
export const BATCH_NORM_EPS = 1e-4;

/** FLUX.2's statistics of packed latents, as batch normalisation keeps them; `eps` is added to the variances. */
export function batchNormalisation(name: string, weights: Record<string, HostArray>, eps: number): Normalisation {
  const [mean, variance] = ['bn.running_mean', 'bn.running_var'].map(key => {
    if (!Object.hasOwn(weights, key))
      throw new UserError(`${name}: tensor '${key}' is missing, by which packed latents are normalised`);
    return Float64Array.from(weights[key].data as ArrayLike<number>, Number);
  });
  const std = variance.map(value => Math.sqrt(value + eps));
  return standardising('channel', mean, std, 'bn.running_mean, bn.running_var');
}
