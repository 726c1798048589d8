import { UserError, type Log } from '../base/index.js';
import { tf, type Tensor } from '../engine/index.js';
import { paramsFrom, type HostArray, type Params } from './params.js';
import type { Shapes } from './preset.js';

export interface StateDictOptions {
  /** Go on where tensors are missing (norm weights become ones, everything else zeros) or unexpected (left out). */
  allowMissing?: boolean | undefined;
  /** Unexpected keys that are left out without a word: training-only networks, tables that are computed. */
  ignores?: (key: string) => boolean;
  /** Expected keys that may be absent, and stay absent. */
  optional?: (key: string) => boolean;
  /** Expected keys whose numbers stay in the file. */
  leaves?: ((key: string) => boolean) | undefined;
  /** What becomes of an array once it has been checked; undefined: the model does without it. Default: itself. */
  asLoaded?: (array: HostArray, key: string) => HostArray | undefined;
  /** Advice about missing and unexpected tensors, where `--allow-missing` is not available. */
  advice?: string;
  log?: Log | undefined;
}

/**
 * A file's arrays as the parameters of a model whose keys and shapes are known.
 * @throws UserError naming the tensors that are misshapen, missing, unexpected or not finite.
 */
export function loadParams(
  name: string,
  arrays: Record<string, HostArray>,
  expected: Shapes,
  options: StateDictOptions = {},
): Params {
  checkKeys(name, arrays, expected, options);
  const { asLoaded = (array: HostArray) => array, optional = () => false, leaves = () => false } = options;
  const params: Params = {};
  try {
    for (const [key, shape] of Object.entries(expected)) {
      if ((!Object.hasOwn(arrays, key) && optional(key)) || leaves(key)) continue;
      // Looked at once: an array may be read from its file whenever its numbers are asked for.
      const { data } = arrays[key] ?? standIn(key, shape);
      checkFinite(name, key, data);
      const array = asLoaded({ shape, data }, key);
      if (array) params[key] = inEngine(array);
    }
    return params;
  } catch (error) {
    tf.dispose(params);
    throw error;
  }
}

/** A tensor of these numbers, for which TensorFlow.js does not keep them until it is first used. */
function inEngine(array: HostArray): Tensor {
  const { tensor } = paramsFrom({ tensor: array });
  if (tensor.rank === 0) return tensor;
  const whole = tf.slice(tensor, new Array<number>(tensor.rank).fill(0), tensor.shape);
  tensor.dispose();
  return whole;
}

/** What `allowMissing` puts in the place of a tensor. */
function standIn(key: string, shape: number[]): HostArray {
  const size = shape.reduce((product, side) => product * side, 1);
  return { shape, data: new Float32Array(size).fill(isNormWeight(key, shape) ? 1 : 0) };
}

/** The check alone, on anything that has shapes. */
function checkKeys(
  name: string,
  actual: Record<string, { shape: number[] }>,
  expected: Shapes,
  { allowMissing = false, ignores = () => false, optional = () => false, advice, log }: StateDictOptions = {},
): void {
  const misshapen = Object.keys(expected).filter(
    key => Object.hasOwn(actual, key) && !sameShape(actual[key].shape, expected[key]),
  );
  if (misshapen.length > 0) {
    const [key] = misshapen;
    const more = misshapen.length > 1 ? ` (and ${misshapen.length - 1} more tensors differ)` : '';
    throw new UserError(
      `${name}: tensor '${key}' is ${shown(actual[key].shape)} in the file, the model's config makes it ` +
        `${shown(expected[key])}${more}; give the config that belongs to these weights`,
    );
  }
  const missing = Object.keys(expected).filter(key => !Object.hasOwn(actual, key) && !optional(key));
  const unexpected = Object.keys(actual).filter(key => !Object.hasOwn(expected, key) && !ignores(key));
  if (missing.length === 0 && unexpected.length === 0) return;
  const problem = [listed(missing, 'missing'), listed(unexpected, 'unexpected')].filter(Boolean).join(', ');
  if (!allowMissing) throw new UserError(`${name}: ${problem}; ${advice ?? '--allow-missing continues without them'}`);
  log?.warn(`${name}: ${problem}; going on (missing norm weights are ones, other missing tensors zeros)`);
}

const LISTED = 3;

function listed(keys: string[], what: string): string {
  if (keys.length === 0) return '';
  const rest = keys.length > LISTED ? `, … and ${keys.length - LISTED} more` : '';
  return `${keys.length} ${keys.length === 1 ? 'tensor' : 'tensors'} ${what} (${keys.slice(0, LISTED).join(', ')}${rest})`;
}

/** Half-precision weights that overflowed when they were written are infinite ever since. */
function checkFinite(name: string, key: string, data: HostArray['data']): void {
  const at = firstNonFinite(data);
  if (at < 0) return;
  throw new UserError(
    `${name}: tensor '${key}' holds ${String(data[at])} at ${at}; the file is damaged or overflowed in half precision`,
  );
}

function firstNonFinite(data: ArrayLike<number | bigint>): number {
  // Whole numbers are finite, and a loop over one type of array runs at memory speed.
  if (!(data instanceof Float32Array || data instanceof Float64Array)) return -1;
  for (let i = 0; i < data.length; i++) if (!Number.isFinite(data[i])) return i;
  return -1;
}

const sameShape = (a: number[], b: number[]): boolean => a.length === b.length && a.every((side, i) => side === b[i]);
const shown = (shape: number[]): string => `[${shape.join(', ')}]`;
const isNormWeight = (key: string, shape: number[]): boolean =>
  (shape.length === 1 && key.endsWith('weight')) || /norm\w*\.gamma$/.test(key);
