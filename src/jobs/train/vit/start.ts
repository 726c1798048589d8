import { UserError, type Log } from '../../../base/index.js';
import { tf, type RandomStream } from '../../../engine/index.js';
import { readRun, readWeights, type NdArray } from '../../../io/index.js';
import { paramsFrom, uniform, type Params } from '../../../nn/index.js';
import {
  initialParams,
  PROJECTION,
  readNetwork,
  type VitConfig,
  type VitNetwork,
} from '../../../tokenizers/vit/index.js';
import type { VitTrainingOptions } from './options.js';

/** A trained tokenizer to start from. */
export interface PretrainedVit {
  config: VitConfig;
  weights: Record<string, NdArray>;
  digest: string;
}

/** The run that `--from` names, with its moving average where it kept one. */
export async function openStart({ from, stage }: VitTrainingOptions, log: Log): Promise<PretrainedVit | undefined> {
  if (from === undefined) {
    if (stage === 'decoder')
      throw new UserError('--stage decoder: needs a trained encoder; name its run with --from RUN');
    return undefined;
  }
  const { config, weights, digest } = await readRun(from, { log });
  const network = config.network as Partial<VitNetwork> | undefined;
  if (network?.family !== 'vit')
    throw new UserError(`--from ${from}: is a run of ${String(config.model)}, not of maetok, ae or kl-vae`);
  return {
    config: readNetwork(from, network as VitNetwork),
    weights: await readWeights(weights),
    digest,
  };
}

export interface StartingOptions {
  start: PretrainedVit | undefined;
  random: RandomStream;
  /** Initial LayerScale of a fresh start; absent: depends on the depth. */
  layerScale: number | undefined;
  /** Width of the features that latents are aligned with. */
  aligned?: number | undefined;
}

/** Parameters before the first step: those of the run to start from where it has them, fresh ones elsewhere. */
export function startingParams(config: VitConfig, { start, random, layerScale, aligned }: StartingOptions): Params {
  const fresh = initialParams(config, random, layerScale === undefined ? {} : { layerScale });
  const { latentChannels: inputs } = config;
  // As PyTorch's linear layers begin.
  if (aligned !== undefined) fresh[PROJECTION] = uniform(random.for(PROJECTION), [aligned, inputs], inputs ** -0.5);
  if (!start) return fresh;
  const known = Object.keys(fresh).filter(key => Object.hasOwn(start.weights, key));
  const found = paramsFrom(Object.fromEntries(known.map(key => [key, start.weights[key]])));
  tf.dispose(known.map(key => fresh[key]));
  return { ...fresh, ...found };
}
