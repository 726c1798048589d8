import type { Communicator } from '../distributed/index.js';
import { tf, type Tensor } from '../engine/index.js';

/**
 * Tensors added up over ranks, in double precision and the order of ranks; those given are disposed of. One process has its
 * sums already.
 */
export async function summedOverRanks(communicator: Communicator, tensors: Tensor[]): Promise<Tensor[]> {
  if (communicator.size === 1) return tensors;
  const parts = await Promise.all(tensors.map(tensor => tensor.data<'float32'>()));
  const sums = new Float64Array(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) {
    sums.set(part, at);
    at += part.length;
  }
  await communicator.allReduceSum(sums);
  at = 0;
  return tensors.map((tensor, i) => {
    const sum = tf.tensor(Float32Array.from(sums.subarray(at, (at += parts[i].length))), tensor.shape);
    tensor.dispose();
    return sum;
  });
}
