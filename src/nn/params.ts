import type { Tensor } from '../engine/index.js';

/** Parameters of a network: state-dict key → tensor. Keys are those of the published weights, layouts PyTorch's. */
export type Params = Record<string, Tensor>;

/** The parameters whose keys start with `prefix.`, under the rest of their keys. */
export function under(params: Params, prefix: string): Params {
  const start = `${prefix}.`;
  const found: Params = {};
  for (const key in params) if (key.startsWith(start)) found[key.slice(start.length)] = params[key];
  return found;
}

/** The numbered sub-records `prefix.0`, `prefix.1`, … (or `0`, `1`, … without a prefix), in order. */
export function children(params: Params, prefix?: string): Params[] {
  const all = prefix === undefined ? params : under(params, prefix);
  const count = 1 + Math.max(-1, ...Object.keys(all).map(name => Number.parseInt(name, 10)));
  return Array.from({ length: count }, (_, i) => under(all, String(i)));
}

/** `params` with every key put under `prefix.`. */
export function prefixed(params: Params, prefix: string): Params {
  return Object.fromEntries(Object.entries(params).map(([key, value]) => [`${prefix}.${key}`, value]));
}
