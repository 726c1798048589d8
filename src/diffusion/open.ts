import { existsSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { z } from 'zod';
import { UserError, type Log } from '../base/index.js';
import {
  isRun,
  readJson,
  readRun,
  sha256OfFile,
  withWeightArrays,
  type NdArray,
  type WeightsName,
} from '../io/index.js';
import { loadParams, roundedOnce, type Params } from '../nn/index.js';
import { networkSchema, type NetworkConfig } from './config.js';
import { CONVENTIONS } from './conventions.js';
import { inferConvention, inferNetwork } from './infer.js';
import type { ConventionName } from './names.js';
import { objectiveSchema, type Objective } from './objective.js';
import { initialTables } from './initialise.js';
import { shapes } from './shapes.js';

/** What a run's config.yaml holds under `network`: everything that its weights do not tell. */
export const runNetworkSchema = z.object({
  architecture: networkSchema,
  objective: objectiveSchema,
  /** Latents are (z − mean) / std per channel before the network sees them. */
  mean: z.array(z.number()),
  std: z.array(z.number()),
  /** Names of the classes, where the latents have them. */
  classes: z.array(z.string()).optional(),
  labelDropout: z.number(),
  /** How training times were shifted, in published terms (`times.ts`); absent: not, as in runs before there was a choice. */
  timeShift: z.number().positive().optional(),
  /** The tokenizer of the latents, as recorded in latents.json. */
  tokenizer: z.record(z.string(), z.unknown()),
});

export type RunNetwork = z.output<typeof runNetworkSchema>;

/** A diffusion model ready to sample from or to measure. */
export interface Diffusion {
  /** Name in messages. */
  name: string;
  config: NetworkConfig;
  params: Params;
  objective: Objective;
  /** Per channel; [0…], [1…] where the latents come normalised. */
  mean: Float32Array;
  std: Float32Array;
  classes?: string[] | undefined;
  /** Share of labels dropped in training; undefined where unknown (published weights). */
  labelDropout?: number | undefined;
  /** Published time shift of its training; undefined: none, or unknown (published weights). */
  timeShift?: number | undefined;
  tokenizer: Record<string, unknown>;
  /** Whose terms fit it. */
  convention: ConventionName;
  /** Updates done, of a run. */
  step?: number | undefined;
  /** Digest of the latents that it was trained on, of a run. */
  latents?: string | undefined;
  /** SHA-256 of the weights. */
  digest: string;
  dispose: () => void;
}

export interface OpenDiffusionOptions {
  /** `ema` where there is one (default), or the weights themselves. */
  weights?: WeightsName | undefined;
  /** Of weights files: whose they are, heads, and the latents' statistics. */
  convention?: ConventionName | undefined;
  heads?: number | undefined;
  normalisation?: { mean: ArrayLike<number>; std: ArrayLike<number> } | undefined;
  log?: Log | undefined;
}

/** Opens a run of `maetok train sit-…`, or published weights. The engine must have been started. */
export async function openDiffusion(path: string, options: OpenDiffusionOptions = {}): Promise<Diffusion> {
  if (!existsSync(path)) throw new UserError(`${path}: no such run folder or weights file`);
  return isRun(path) ? await openRun(path, options) : await openPublished(path, options);
}

async function openRun(folder: string, options: OpenDiffusionOptions): Promise<Diffusion> {
  const run = await readRun(folder, options);
  const outcome = runNetworkSchema.safeParse(run.config.network);
  if (!outcome.success)
    throw new UserError(
      `${folder}: is not a run of a diffusion model (its model is ${JSON.stringify(run.config.model)})`,
    );
  const { architecture: config, objective, mean, std, classes, labelDropout, timeShift, tokenizer } = outcome.data;
  const inputs = run.info.inputs as Record<string, string> | undefined;
  return {
    ...(await withWeightArrays(run.weights, arrays => loaded(folder, config, arrays))),
    objective,
    mean: Float32Array.from(mean),
    std: Float32Array.from(std),
    classes,
    labelDropout,
    timeShift,
    tokenizer,
    convention: 'own',
    step: run.step,
    latents: inputs?.latents,
    digest: run.digest,
  };
}

async function openPublished(path: string, options: OpenDiffusionOptions): Promise<Diffusion> {
  const beside = await configBeside(path);
  const heads = options.heads ?? (typeof beside.num_heads === 'number' ? beside.num_heads : undefined);
  const network = await withWeightArrays(path, arrays => loaded(path, inferNetwork(path, arrays, { heads }), arrays), {
    weights: options.weights,
    log: options.log,
  });
  const { config } = network;
  const convention = options.convention ?? inferConvention(config);
  const { mean, std } = options.normalisation ?? { mean: [0], std: [1] };
  const each = (values: ArrayLike<number>): Float32Array => channelValues(path, values, config.channels);
  return {
    ...network,
    objective: CONVENTIONS[convention].objective,
    mean: each(mean),
    std: each(std),
    tokenizer: {},
    convention,
    digest: statSync(path).isDirectory() ? '' : await sha256OfFile(path),
  };
}

function loaded(
  name: string,
  config: NetworkConfig,
  arrays: Record<string, NdArray>,
): Pick<Diffusion, 'name' | 'config' | 'params' | 'dispose'> {
  // Fixed tables are computed where a file leaves them out.
  const params = roundedOnce(loadParams(name, { ...initialTables(config), ...arrays }, shapes(config)));
  return { name, config, params, dispose: () => Object.values(params).forEach(tensor => tensor.dispose()) };
}

function channelValues(path: string, values: ArrayLike<number>, channels: number): Float32Array {
  if (values.length !== 1 && values.length !== channels)
    throw new UserError(`${path}: has ${channels} channels, but the latents' statistics have ${values.length}`);
  return Float32Array.from({ length: channels }, (_, c) => values[values.length === 1 ? 0 : c]);
}

/** A hub's config.json, which tells the heads. */
async function configBeside(path: string): Promise<Record<string, unknown>> {
  const folder = statSync(path).isDirectory() ? path : dirname(path);
  return (await readJson(join(folder, 'config.json')).catch(() => ({}))) as Record<string, unknown>;
}
