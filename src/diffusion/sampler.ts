import type { Tensor } from '../engine/index.js';
import type { Objective } from './objective.js';
import { PATHS } from './paths.js';
import type { OfferedSampler, Sampler, SamplerSettings } from './samplers/index.js';
import { SAMPLERS, type SamplerName } from './samplers/names.js';

export interface SamplerChoice extends SamplerSettings {
  name: SamplerName;
}

export const DEFAULT_SAMPLER: SamplerChoice = {
  name: 'euler',
  steps: 50,
  shift: 1,
  atol: 1e-6,
  rtol: 1e-3,
  diffusion: 'sigma',
  diffusionScale: 1,
  lastStep: 'mean',
  lastStepSize: 0.04,
};

/** Distance that SiT keeps from an end of the path where what the network predicts, or the score, is undefined. */
const MARGIN = 1e-3;

/** A sampler and the times that it is to visit. `noise` gives standard normal numbers for a step. */
export async function openSampler(
  choice: SamplerChoice,
  objective: Objective,
  noise: (step: number) => Tensor,
): Promise<{ sampler: Sampler; times: Float64Array }> {
  const { offered } = await loaded(choice.name);
  const times = offered.times(choice, ...ends(objective, offered.dividesByAlpha?.(choice) ?? false));
  return { sampler: offered.open(choice, PATHS[objective.path], noise), times };
}

/** The settings that a sampler's samples depend on, for the protocol card. */
export async function samplerCard(
  { name, ...settings }: SamplerChoice,
  batchSize: number,
): Promise<Record<string, unknown>> {
  const { offered } = await loaded(name);
  const all = { ...settings, batchSize };
  return { name, ...Object.fromEntries(offered.reads.map(setting => [setting, all[setting]])) };
}

const loaded = (name: SamplerName): Promise<{ offered: OfferedSampler }> => SAMPLERS[name].load();

/** First and last time: a margin where α or σ is 0 and the prediction, or the sampler, divides by it. */
function ends({ path, prediction }: Objective, samplerDividesByAlpha: boolean): [start: number, end: number] {
  if (path === 'ddpm') return [0, 1];
  const dividesByAlpha = prediction === 'noise' || prediction === 'score' || samplerDividesByAlpha;
  const dividesBySigma = prediction === 'data' || path === 'vp';
  return [dividesByAlpha && path !== 'vp' ? MARGIN : 0, dividesBySigma ? 1 - MARGIN : 1];
}
