import { tf, type Tensor } from '../engine/index.js';
/** Parameters of a network: state-dict key → tensor. Keys are those of the published weights, layouts PyTorch's. */
export type Params = Record<string, Tensor>;

/** The parameters whose keys start with `prefix.`, under the rest of their keys. */
export function under<T = Tensor>(params: Record<string, T>, prefix: string): Record<string, T> {
  const start = `${prefix}.`;
  const found: Record<string, T> = {};
  for (const key in params) if (key.startsWith(start)) found[key.slice(start.length)] = params[key];
  return found;
}

/** The numbered sub-records `prefix.0`, `prefix.1`, … (or `0`, `1`, … without a prefix), in order. */
export function children<T = Tensor>(params: Record<string, T>, prefix?: string): Record<string, T>[] {
  const all = prefix === undefined ? params : under(params, prefix);
  const count = 1 + Math.max(-1, ...Object.keys(all).map(name => Number.parseInt(name, 10)));
  return Array.from({ length: count }, (_, i) => under(all, String(i)));
}

/** `params` with every key put under `prefix.`. */
export function prefixed<T = Tensor>(params: Record<string, T>, prefix: string): Record<string, T> {
  return Object.fromEntries(Object.entries(params).map(([key, value]) => [`${prefix}.${key}`, value]));
}

/** One tensor of a file; numbers of any width. */
export interface HostArray {
  shape: number[];
  data: ArrayLike<number | bigint>;
}

/** Arrays as read from a file → float32 tensors, which the caller owns. */
export function paramsFrom(arrays: Record<string, HostArray>): Params {
  return Object.fromEntries(
    Object.entries(arrays).map(([name, { shape, data }]) => [name, tf.tensor(float32(data), shape, 'float32')]),
  );
}

const float32 = (data: ArrayLike<number | bigint>): Float32Array =>
  data instanceof Float32Array ? data : Float32Array.from(data as ArrayLike<number>, Number);

export interface Float32Data {
  shape: number[];
  dtype: 'float32';
  data: Float32Array;
}

/** Tensors → arrays as files hold them. */
export async function arraysFrom(params: Params): Promise<Record<string, Float32Data>> {
  const entries = Object.entries(params).map(
    async ([name, tensor]) =>
      [name, { shape: tensor.shape, dtype: 'float32', data: Float32Array.from(await tensor.data()) }] as const,
  );
  return Object.fromEntries(await Promise.all(entries));
}
