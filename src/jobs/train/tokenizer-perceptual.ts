import type { Log } from '../../base/index.js';
import { openPerceptual } from '../../tokenizers/losses/index.js';

type Perceptual = Awaited<ReturnType<typeof openPerceptual>>;

export interface PerceptualLoss extends Perceptual {
  weight: number;
  /** Steps over which the weight grows from 0. */
  ramp: number;
}

/** The perceptual loss of a training; undefined where its weight is 0. */
export async function openPerceptualLoss(
  lpips: string | undefined,
  { weight, ramp }: Pick<PerceptualLoss, 'weight' | 'ramp'>,
  log: Log,
): Promise<PerceptualLoss | undefined> {
  if (weight === 0) return undefined;
  const perceptual = await openPerceptual(lpips);
  if (!perceptual.digest)
    log.warn(`no --lpips weights: the perceptual loss is ${perceptual.name}, as noted in run.json`);
  return { ...perceptual, weight, ramp };
}
