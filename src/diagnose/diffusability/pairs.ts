import { sumOf } from '../../distributed/index.js';
import { matMul, tf } from '../../engine/index.js';
import type { Accumulator, Block } from './pass.js';

/**
 * Inner products of any two tokens of one image, averaged over the images, [t, t]. All that depends on pairs of
 * positions alone is a weighted sum of them, so no image needs a matrix of its own. Of unit tokens they are cosines.
 */
export function pairProducts(of: 'z' | 'unit', tokens: number): Accumulator & { mean(): Float64Array } {
  const sum = new Float64Array(tokens * tokens);
  let images = 0;
  return {
    async add(block: Block) {
      const [n, t, c] = block[of].shape;
      const products = tf.tidy(() => {
        const byPosition = block[of].transpose([1, 0, 2]).reshape([t, n * c]);
        return matMul(byPosition, byPosition, { transposeB: true });
      });
      const part = await products.data<'float32'>();
      products.dispose();
      for (let at = 0; at < sum.length; at++) sum[at] += part[at];
      images += n;
    },
    async merge(communicator) {
      await communicator.allReduceSum(sum);
      images = await sumOf(communicator, images);
    },
    mean: () => sum.map(value => value / images),
  };
}
