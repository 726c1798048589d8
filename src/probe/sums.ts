import { sumTogether, type Communicator } from '../distributed/index.js';
import { tf, type Tensor } from '../engine/index.js';

/**
 * Tensors added up over ranks, in double precision and the order of ranks; those given are disposed of. One process has its
 * sums already.
 */
export async function summedOverRanks(communicator: Communicator, tensors: Tensor[]): Promise<Tensor[]> {
  if (communicator.size === 1) return tensors;
  const sums = await Promise.all(tensors.map(async tensor => (await tensor.data<'float32'>()).slice()));
  await sumTogether(communicator, sums);
  return tensors.map((tensor, i) => {
    const sum = tf.tensor(sums[i], tensor.shape);
    tensor.dispose();
    return sum;
  });
}
