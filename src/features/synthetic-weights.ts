import { elementCount } from '../io/index.js';
import type { HostArray, Shapes } from '../nn/index.js';

/** How a recorded case makes the weights of a network that is too large to store; see `syntheticWeights`. */
export interface SyntheticRule {
  /** Put before each tensor's name. */
  salt: string;
  gain: number;
}

/**
 * Weights made from the tensors' names alone. Each tensor is a run of a linear congruential generator that starts at
 * the CRC-32 of salt and name; a number u in [0, 1) becomes (2u − 1) √3 gain / √fan-in in matrices and kernels,
 * 0.7 + 0.6 u in norm weights, 0.5 + u in running variances and 0.2 (2u − 1) in biases and running means.
 */
export function syntheticWeights({ salt, gain }: SyntheticRule, shapes: Shapes): Record<string, HostArray> {
  return Object.fromEntries(
    Object.entries(shapes).map(([name, shape]) => {
      const value = valueOf(name, shape, gain);
      const data = new Float32Array(elementCount(shape));
      let state = crc32(salt + name);
      for (let i = 0; i < data.length; i++) {
        state = (Math.imul(1664525, state) + 1013904223) >>> 0;
        data[i] = value(state / 2 ** 32);
      }
      return [name, { shape, data }];
    }),
  );
}

function valueOf(name: string, shape: number[], gain: number): (u: number) => number {
  const part = name.slice(name.lastIndexOf('.') + 1);
  if (shape.length > 1) {
    const bound = (Math.sqrt(3) * gain) / Math.sqrt(elementCount(shape.slice(1)));
    return u => (2 * u - 1) * bound;
  }
  if (part === 'weight') return u => 0.7 + 0.6 * u;
  if (part === 'running_var') return u => 0.5 + u;
  return u => 0.2 * (2 * u - 1);
}

/** CRC-32 of the text's UTF-8 bytes (zip's polynomial). */
function crc32(text: string): number {
  let crc = 0xffffffff;
  for (const byte of Buffer.from(text, 'utf8')) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (0xedb88320 & -(crc & 1));
  }
  return (crc ^ 0xffffffff) >>> 0;
}
