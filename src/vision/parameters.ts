import type { NdArray } from '../io/index.js';
import type { VisionConfig } from './config.js';

/*
 * The network's parameters, each of one or more tensors of a file: queries, keys and values become one product, a gate and
 * its value another. What a forward pass would do to weights at every call is done to them once.
 */

export interface Parameter {
  shape: number[];
  /** Names of the tensors that it is made of, joined along the first axis. */
  parts: string[];
}

export interface Part {
  part: string;
  array: NdArray;
}

/** Every parameter of a network with its shape; `has` tells in which form a file has those that come in several. */
export function parametersOf(config: VisionConfig, has: (name: string) => boolean): Record<string, Parameter> {
  const { width: c, patchSize: p, registers, positions, depth } = config;
  const found: Record<string, Parameter> = {
    'patch_embed.proj.weight': one('patch_embed.proj.weight', [c, 3, p, p]),
    ...when(config.family !== 'clip' || has('patch_embed.proj.bias'), 'patch_embed.proj.bias', [c]),
    ...when(config.classToken, 'cls_token', [1, 1, c]),
    ...when(registers > 0, 'register_tokens', [1, registers, c]),
    ...when(config.family !== 'dinov3', 'pos_embed', [positions, c]),
    ...(config.family === 'clip' ? norm('norm_pre', c) : {}),
    ...(config.normAffine ? norm('norm', c) : {}),
    ...(config.attentionPool ? pool(config, has) : {}),
    ...projection(config, has),
  };
  for (let i = 0; i < depth; i++) Object.assign(found, block(config, `blocks.${i}`, has));
  return found;
}

const one = (name: string, shape: number[]): Parameter => ({ shape, parts: [name] });

const when = (wanted: boolean, name: string, shape: number[]): Record<string, Parameter> =>
  wanted ? { [name]: one(name, shape) } : {};

const norm = (name: string, c: number): Record<string, Parameter> => ({
  [`${name}.weight`]: one(`${name}.weight`, [c]),
  [`${name}.bias`]: one(`${name}.bias`, [c]),
});

type Has = (name: string) => boolean;

function block(config: VisionConfig, at: string, has: Has): Record<string, Parameter> {
  const c = config.width;
  return {
    ...norm(`${at}.norm1`, c),
    ...attention(config, `${at}.attn`, has),
    ...when(config.layerScale, `${at}.ls1.gamma`, [c]),
    ...norm(`${at}.norm2`, c),
    ...(config.gated ? gatedMlp(config, `${at}.mlp`, has) : plainMlp(config, `${at}.mlp`, has)),
    ...when(config.layerScale, `${at}.ls2.gamma`, [c]),
  };
}

/** Queries, keys and values in one tensor or three, their biases likewise; keys without a bias get zeros. */
function attention({ width: c, biases }: VisionConfig, at: string, has: Has): Record<string, Parameter> {
  const three = ['q', 'k', 'v'] as const;
  const weights = has(`${at}.qkv.weight`) ? ['qkv'] : three;
  const fusedBias = has(`${at}.qkv.bias`);
  const biased = fusedBias ? ['qkv'] : three.filter(part => biases[part]);
  return {
    [`${at}.qkv.weight`]: { shape: [3 * c, c], parts: weights.map(part => `${at}.${part}.weight`) },
    ...(biased.length > 0
      ? { [`${at}.qkv.bias`]: { shape: [3 * c], parts: biased.map(part => `${at}.${part}.bias`) } }
      : {}),
    [`${at}.proj.weight`]: one(`${at}.proj.weight`, [c, c]),
    ...when(!lacks(has, 'attn.proj.bias'), `${at}.proj.bias`, [c]),
  };
}

/** Layers without a bias have it in no block. */
const lacks = (has: Has, inner: string): boolean => !has(`blocks.0.${inner}`);

function plainMlp({ width: c, hidden }: VisionConfig, at: string, has: Has): Record<string, Parameter> {
  return {
    [`${at}.fc1.weight`]: { shape: [hidden, c], parts: [`${at}.up.weight`] },
    ...(lacks(has, 'mlp.up.bias') ? {} : { [`${at}.fc1.bias`]: { shape: [hidden], parts: [`${at}.up.bias`] } }),
    [`${at}.fc2.weight`]: { shape: [c, hidden], parts: [`${at}.down.weight`] },
    ...(lacks(has, 'mlp.down.bias') ? {} : { [`${at}.fc2.bias`]: { shape: [c], parts: [`${at}.down.bias`] } }),
  };
}

function gatedMlp({ width: c, hidden }: VisionConfig, at: string, has: Has): Record<string, Parameter> {
  const first = has(`${at}.both.weight`) ? ['both'] : ['gate', 'up'];
  const biased = !lacks(has, `mlp.${first[0]}.bias`);
  return {
    [`${at}.w12.weight`]: { shape: [2 * hidden, c], parts: first.map(part => `${at}.${part}.weight`) },
    ...(biased ? { [`${at}.w12.bias`]: { shape: [2 * hidden], parts: first.map(part => `${at}.${part}.bias`) } } : {}),
    [`${at}.w3.weight`]: { shape: [c, hidden], parts: [`${at}.down.weight`] },
    ...(lacks(has, 'mlp.down.bias') ? {} : { [`${at}.w3.bias`]: { shape: [c], parts: [`${at}.down.bias`] } }),
  };
}

/** SigLIP's head: a learned query, attention over all tokens, and an MLP. */
function pool({ width: c, hidden }: VisionConfig, has: Has): Record<string, Parameter> {
  const parts = has('pool.attn.qkv.weight') ? ['qkv'] : ['q', 'kv'];
  const pair = (name: string, shape: number[], from: string[]): Record<string, Parameter> => ({
    [`${name}.weight`]: { shape, parts: from.map(part => `${part}.weight`) },
    [`${name}.bias`]: { shape: shape.slice(0, 1), parts: from.map(part => `${part}.bias`) },
  });
  return {
    'pool.probe': one('pool.probe', [1, 1, c]),
    ...pair(
      'pool.attn.qkv',
      [3 * c, c],
      parts.map(part => `pool.attn.${part}`),
    ),
    ...pair('pool.attn.proj', [c, c], ['pool.attn.proj']),
    ...norm('pool.norm', c),
    ...pair('pool.mlp.fc1', [hidden, c], ['pool.mlp.up']),
    ...pair('pool.mlp.fc2', [c, hidden], ['pool.mlp.down']),
  };
}

function projection({ width, projection: to }: VisionConfig, has: Has): Record<string, Parameter> {
  if (to === undefined) return {};
  const [part] = has('projection.transposed') ? ['projection.transposed'] : ['projection.weight'];
  return {
    'projection.weight': { shape: [to, width], parts: [part] },
    ...when(has('projection.bias'), 'projection.bias', [to]),
  };
}

/** A file's tensors as the parameter that they make up. */
export function joined(config: VisionConfig, key: string, { shape }: Parameter, parts: Part[]): NdArray {
  const arrays = parts.map(({ part, array }) => (part === 'projection.transposed' ? transposed(array) : array));
  const whole = /attn\.qkv\.bias$/.test(key) ? withZeros(config, parts) : arrays;
  return changed(config, key, reshaped(concatenated(whole), shape));
}

/** Zeros in place of the biases that queries, keys or values lack. */
function withZeros({ width, biases }: VisionConfig, parts: Part[]): NdArray[] {
  const zeros: NdArray = { shape: [width], dtype: 'float32', data: new Float32Array(width) };
  const of = (name: string): NdArray | undefined => parts.find(({ part }) => part.endsWith(`.${name}.bias`))?.array;
  const fused = of('qkv');
  if (fused === undefined && of('kv') === undefined) return ['q', 'k', 'v'].map(part => of(part) ?? zeros);
  if (fused === undefined || biases.k) return parts.map(({ array }) => array);
  return [rows(fused, 0, width), zeros, rows(fused, 2 * width, 3 * width)];
}

const rows = ({ data, dtype }: NdArray, start: number, end: number): NdArray => ({
  shape: [end - start],
  dtype,
  data: data.subarray(start, end),
});

/** Tokens and tables come with and without axes of length 1. */
function reshaped(array: NdArray, shape: number[]): NdArray {
  const squeezed = (sides: number[]): string => sides.filter(side => side !== 1).join();
  return squeezed(array.shape) === squeezed(shape) ? { ...array, shape } : array;
}

function concatenated(arrays: NdArray[]): NdArray {
  if (arrays.length === 1) return arrays[0];
  const data = new Float32Array(arrays.reduce((sum, { data }) => sum + data.length, 0));
  let at = 0;
  for (const { data: part } of arrays) {
    data.set(part as Float32Array, at);
    at += part.length;
  }
  const rows = arrays.reduce((sum, { shape }) => sum + shape[0], 0);
  return { dtype: 'float32', shape: [rows, ...arrays[0].shape.slice(1)], data };
}

function transposed({ shape: [rows, columns], data, dtype }: NdArray): NdArray {
  const turned = new Float32Array(data.length);
  for (let i = 0; i < rows; i++) for (let j = 0; j < columns; j++) turned[j * rows + i] = Number(data[i * columns + j]);
  return { dtype, shape: [columns, rows], data: turned };
}

/** CLIP's x σ(1.702 x) is a SiLU of 1.702 x over 1.702, which its two layers take in. */
const QUICK = 1.702;

function changed(config: VisionConfig, key: string, array: NdArray): NdArray {
  if (config.activation === 'quick_gelu' && /mlp\.fc1\.(weight|bias)$/.test(key)) return scaled(array, QUICK);
  if (config.activation === 'quick_gelu' && /mlp\.fc2\.weight$/.test(key)) return scaled(array, 1 / QUICK);
  const turns = config.family === 'dinov3' && /attn\.qkv\.(weight|bias)$/.test(key);
  return turns ? interleaved(config, array) : array;
}

const scaled = ({ data, ...rest }: NdArray, by: number): NdArray => ({
  ...rest,
  dtype: 'float32',
  data: Float32Array.from(data as Float32Array, x => x * by),
});

/**
 * DINOv3 turns feature k of a head with feature k + d/2, the rotation of `nn` neighbours: queries' and keys' rows are put
 * in that order, which attention's products do not notice.
 */
function interleaved({ width, heads }: VisionConfig, { shape, dtype, data }: NdArray): NdArray {
  const [rows, ...rest] = shape;
  const run = rest.reduce((product, side) => product * side, 1);
  const d = width / heads;
  const moved = new Float32Array(data.length);
  for (let to = 0; to < rows; to++) {
    const within = to % d;
    const from = to < 2 * width ? to - within + (within >> 1) + (within % 2) * (d / 2) : to;
    moved.set((data as Float32Array).subarray(from * run, (from + 1) * run), to * run);
  }
  return { shape, dtype, data: moved };
}
