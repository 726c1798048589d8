import { tf, type Tensor, type Tensor3D } from '../../engine/index.js';
import type { VerifyCase } from '../case.js';
import { channelsFirst, channelsLast, type HostArray } from '../../nn/index.js';
import { tensorOf } from '../../nn/layout.js';
/* What the verifiers of this room share. Recorded 2-D latents are [n, c, h, w]; inside they are [n, h·w, c]. */

export type Results = Record<string, HostArray | Tensor>;

/** A recorded tensor as numbers. */
export function numbersOf({ data }: HostArray): Float64Array {
  return Float64Array.from(data as ArrayLike<number>, Number);
}

/** A recorded tensor of labels. */
export function labelsOf({ data }: HostArray): Int32Array {
  return Int32Array.from(data as ArrayLike<number>, Number);
}

/** The i-th slice along the first axis. */
export function sliceOf({ shape, data }: HostArray, i: number): HostArray {
  const [, ...inner] = shape;
  const size = inner.reduce((product, side) => product * side, 1);
  return { shape: inner, data: Array.prototype.slice.call(data, i * size, (i + 1) * size) as number[] };
}

/** [n, c, h, w] → [n, h·w, c]. */
export function tokensOf(recorded: HostArray): Tensor3D {
  return tf.tidy(() => {
    const image = channelsLast(tensorOf(recorded));
    return image.reshape([image.shape[0], image.shape[1]! * image.shape[2]!, image.shape[3]!]);
  });
}

/** [n, h·w, c] of a square grid → [n, c, h, w]. */
export function imageOf(latents: Tensor): Tensor {
  return tf.tidy(() => {
    const [n, tokens, c] = latents.shape as [number, number, number];
    const side = Math.sqrt(tokens);
    return channelsFirst(latents.reshape([n, side, side, c]));
  });
}

/** Numbers as a recorded array. */
export function arrayOf(values: ArrayLike<number>, shape = [values.length]): HostArray {
  return { shape, data: values };
}

/** The part of `results` that the case recorded; frees the rest. */
export function recordedOnly(recorded: VerifyCase, results: Results): Results {
  const wanted: Results = {};
  for (const [name, value] of Object.entries(results)) {
    if (recorded.wants(name)) wanted[name] = value;
    else if (value instanceof tf.Tensor) value.dispose();
  }
  return wanted;
}
