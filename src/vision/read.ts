import { UserError } from '../base/index.js';
import type { ArrayFile, NdArray } from '../io/index.js';
import { loadParams, type Params } from '../nn/index.js';
import { tf } from '../engine/index.js';
import { visionConfig, visionFields, withPreprocessor, type VisionConfig } from './config.js';
import { joined, parametersOf, type Part } from './parameters.js';
import { tensorsOf, type FoundTensors } from './tensors.js';

/** Weights from any library, and what is known about them. */
export interface VisionSource {
  /** Name in messages: the path or id. */
  name: string;
  /** Tensors by their names in the file, which are read one by one; or all of them. */
  weights: Pick<ArrayFile, 'tensors' | 'read'> | Record<string, NdArray>;
  /** config.json beside the weights, or of a recorded case; empty where there is none. */
  config: Record<string, unknown>;
  /** preprocessor_config.json beside the weights, where there is one. */
  preprocessor?: Record<string, unknown> | undefined;
}

/** A frozen vision transformer. */
export interface Vision {
  config: VisionConfig;
  /** Under this room's names, whatever the file's; the caller disposes of them. */
  params: Params;
  /** How the file names its tensors, for messages and cards. */
  spelling: string;
}

export interface ReadVisionOptions {
  /** The last norm has no weights, and any in the file are not read (RAE). */
  bareNorm?: boolean | undefined;
  /** Whether a tensor that is no part of the network is passed over; others are refused. */
  ignores?: ((key: string) => boolean) | undefined;
}

/**
 * The network whose weights these are, spelled as transformers 4 or 5, timm or the authors do. Reads one tensor after the
 * other, so that no more than one is held twice.
 * @throws UserError where a tensor is missing, misshapen or not part of the network, and where what cannot be told from
 * the weights is in no config.
 */
export async function readVision(source: VisionSource, options: ReadVisionOptions = {}): Promise<Vision> {
  const { name } = source;
  const file = opened(source.weights);
  const fields = visionFields(name, source.config);
  const found = tensorsOf(name, file.tensors, fields.architecture !== undefined, options.ignores);
  const config = visionConfig(name, fields, found.shapes, found.spelling);
  if (options.bareNorm) config.normAffine = false;
  if (source.preprocessor) config.input = withPreprocessor(name, config.input, source.preprocessor);
  const parameters = parametersOf(config, key => found.keys.has(key));
  const wanted = new Set(Object.values(parameters).flatMap(({ parts }) => parts));
  refuseMissing(name, found, [...wanted]);
  refuseUnread(name, found, wanted, config);
  const params: Params = {};
  try {
    for (const [key, parameter] of Object.entries(parameters)) {
      const parts: Part[] = [];
      for (const part of parameter.parts) parts.push({ part, array: await file.read(found.keys.get(part)!) });
      const array = joined(config, key, parameter, parts);
      Object.assign(params, loadParams(name, { [key]: array }, { [key]: parameter.shape }));
    }
  } catch (error) {
    tf.dispose(params);
    throw error;
  }
  return { config, params, spelling: found.told };
}

/** An array of a file is held only while it is turned into a tensor. */
const opened = (weights: VisionSource['weights']): Pick<ArrayFile, 'tensors' | 'read'> =>
  weights.tensors instanceof Map
    ? (weights as Pick<ArrayFile, 'tensors' | 'read'>)
    : {
        tensors: new Map(Object.entries(weights as Record<string, NdArray>)),
        read: key => Promise.resolve((weights as Record<string, NdArray>)[key]),
      };

function refuseMissing(name: string, { keys, spelledAs }: FoundTensors, wanted: string[]): void {
  const missing = wanted.filter(part => !keys.has(part));
  if (missing.length === 0) return;
  const more = missing.length > 1 ? ` and ${missing.length - 1} more` : '';
  throw new UserError(
    `${name}: has no tensor ${spelledAs(missing[0])}${more}, without which the network would be random; give whole weights, or the config that belongs to them`,
  );
}

/** Tensors of the network that its config does not account for. */
function refuseUnread(name: string, { keys }: FoundTensors, wanted: Set<string>, config: VisionConfig): void {
  const unread = [...keys].filter(([part]) => !wanted.has(part) && !isLeftOut(part, config)).map(([, key]) => key);
  if (unread.length === 0) return;
  const more = unread.length > 1 ? ` and ${unread.length - 1} more` : '';
  throw new UserError(
    `${name}: tensor ${unread[0]}${more} would not be read by ${config.family} as its config has it (${config.depth} blocks, ${config.registers} registers${config.gated ? ', gated' : ''}); give the config that belongs to these weights`,
  );
}

const isLeftOut = (part: string, { biases, normAffine, projection }: VisionConfig): boolean =>
  (/attn\.k\.bias$/.test(part) && !biases.k) ||
  part.endsWith('attn.qkv.bias_mask') ||
  (/^norm\./.test(part) && !normAffine) ||
  (/^projection\b/.test(part) && projection === undefined);
