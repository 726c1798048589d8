import { openLpips, lpips } from '../../features/index.js';
import { tf, type Scalar, type Tensor, type Tensor4D } from '../../engine/index.js';

/** Perceptual distance of reconstructions from their originals, averaged over a batch; differentiable. */
export interface Perceptual {
  /** What it is, for a run's record. */
  name: string;
  /** sha256 of its weights; absent where it has none. */
  digest?: string;
  distance(reconstruction: Tensor4D, image: Tensor4D): Scalar;
  dispose: () => void;
}

/** LPIPS with weights as `openLpips` reads them; without, the stand-in that needs none. */
export async function openPerceptual(weights: string | undefined): Promise<Perceptual> {
  if (weights === undefined)
    return {
      name: `gradient differences at ${SCALES} scales, no LPIPS weights`,
      distance: gradientDifference,
      dispose,
    };
  const network = await openLpips(weights);
  const { params, digest } = network;
  const distance: Perceptual['distance'] = (a, b) => lpips(params, a, b).mean();
  return { name: 'LPIPS-VGG', digest, distance, dispose: () => network.dispose() };
}

const dispose = (): void => undefined;

const SCALES = 3;

/**
 * Mean absolute difference of the images' gradients (Mathieu et al. 2016, eq. 6 with α = 1, signs kept), averaged
 * over scales, each half the size of the previous one: it penalises lost edges and texture, as LPIPS mainly does.
 */
export function gradientDifference(a: Tensor4D, b: Tensor4D): Scalar {
  const terms: Tensor[] = [];
  let difference = a.sub<Tensor4D>(b);
  // A scale without neighbours has no gradients.
  for (let scale = 0; scale < SCALES && Math.min(difference.shape[1], difference.shape[2]) > 1; scale++) {
    terms.push(steps(difference, 1).abs().mean(), steps(difference, 2).abs().mean());
    difference = halved(difference);
  }
  return tf.addN(terms).div(terms.length);
}

/** Differences of neighbours along an axis. */
function steps(x: Tensor4D, axis: 1 | 2): Tensor {
  const size = x.shape.map((side, i) => (i === axis ? side - 1 : side));
  const from = [0, 0, 0, 0].map((_, i) => (i === axis ? 1 : 0));
  return tf.slice(x, from, size).sub(tf.slice(x, [0, 0, 0, 0], size));
}

/** Means of 2×2 squares, an odd edge left out. */
function halved(x: Tensor4D): Tensor4D {
  const [n, h, w, c] = x.shape;
  const [rows, columns] = [Math.floor(h / 2), Math.floor(w / 2)];
  const even = tf.slice(x, [0, 0, 0, 0], [n, 2 * rows, 2 * columns, c]);
  return even
    .reshape([n * rows, 2, columns, 2, c])
    .mean([1, 3])
    .reshape([n, rows, columns, c]);
}
