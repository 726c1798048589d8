import { gatherParts } from '../../distributed/index.js';
import { matMul, tf } from '../../engine/index.js';
import { maskOf, type Masks } from './image-means.js';
import type { Accumulator } from './pass.js';
import type { Ruler } from './structure.js';

/**
 * SRSS (iREPA) of one image, from its tokens' cosines [t, t]: mean over foreground tokens of the cosine to foreground
 * nearby minus that to background far away; NaN where no token has both.
 */
function regionSimilarity(
  cosines: Float32Array,
  mask: Uint8Array,
  distances: Float64Array,
  { near, far }: Pick<Ruler, 'near' | 'far'>,
): number {
  const tokens = mask.length;
  let [sum, anchors] = [0, 0];
  for (let a = 0; a < tokens; a++) {
    if (mask[a] === 0) continue;
    let [alike, alikeCount, apart, apartCount] = [0, 0, 0, 0];
    for (let b = 0, at = a * tokens; b < tokens; b++, at++) {
      if (mask[b] === 1) {
        if (distances[at] === 0 || distances[at] > near) continue;
        alike += cosines[at];
        alikeCount++;
      } else if (distances[at] >= far) {
        apart += cosines[at];
        apartCount++;
      }
    }
    if (alikeCount === 0 || apartCount === 0) continue;
    sum += alike / alikeCount - apart / apartCount;
    anchors++;
  }
  return anchors === 0 ? NaN : sum / anchors;
}

/** SRSS of every image by each of several rulers. */
export function regionSimilarities(
  masks: Masks,
  rulers: readonly { distances: Float64Array; ruler: Ruler }[],
): Accumulator & { readonly values: number[][] } {
  let values = rulers.map((): number[] => []);
  return {
    get values() {
      return values;
    },
    async add({ first, unit }) {
      const [n, t] = unit.shape;
      const products = tf.tidy(() => matMul(unit, unit, { transposeB: true }));
      const cosines = await products.data<'float32'>();
      products.dispose();
      for (let i = 0; i < n; i++) {
        const own = cosines.subarray(i * t * t, (i + 1) * t * t);
        for (const [r, { distances, ruler }] of rulers.entries())
          values[r].push(regionSimilarity(own, maskOf(masks, first + i), distances, ruler));
      }
    },
    async merge(communicator) {
      const all = await gatherParts(communicator, values);
      values = rulers.map((_, r) => all.flatMap(own => own[r]));
    },
  };
}
