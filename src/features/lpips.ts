import { UserError } from '../base/index.js';
import { tf, type Tensor, type Tensor1D, type Tensor4D } from '../engine/index.js';
import { combinedDigest, readWeights, sha256OfFile, type NdArray } from '../io/index.js';
import { conv2d, loadParams, under, type Params, type Shapes } from '../nn/index.js';
import { fromTorchvision, vgg16Shapes, vgg16Slices, VGG_WIDTHS } from './vgg.js';

/*
 * LPIPS on VGG16 (Zhang et al. 2018, version 0.1): how far two images are apart to the eye.
 */

const SHIFT = [-0.03, -0.088, -0.188];
const SCALE = [0.458, 0.448, 0.45];
/** Added to the norm of an activation, as the published code does it. */
const EPS = 1e-10;

/** Distance of each pair of images [n, h, w, 3] in [−1, 1] → [n]. Differentiable in both. */
export function lpips(params: Params, a: Tensor4D, b: Tensor4D): Tensor1D {
  return lpipsBetween(params, lpipsActivations(params, a), lpipsActivations(params, b));
}

/** The tapped activations of images [n, h, w, 3] in [−1, 1], for images that are compared more than once. */
export function lpipsActivations(params: Params, images: Tensor4D): Tensor4D[] {
  const scaled = images.sub(tf.tensor1d(SHIFT)).div<Tensor4D>(tf.tensor1d(SCALE));
  return vgg16Slices(params, scaled);
}

/** The distance from activations: Σ over taps of the spatial mean of w · (â − b̂)², â of unit length along channels. */
function lpipsBetween(params: Params, a: Tensor4D[], b: Tensor4D[]): Tensor1D {
  const parts = a.map((activation, tap) => {
    const difference = unit(activation).sub(unit(b[tap])).square();
    return conv2d(under(params, `lin${tap}.model.1`), difference).mean([1, 2, 3]);
  });
  return tf.addN(parts) as Tensor1D;
}

function unit(x: Tensor): Tensor {
  const norm = x.square().sum(-1, true).sqrt().add(EPS);
  return x.div(norm);
}

/** Every key and shape of LPIPS's state dict, its constant scaling left out. */
export function lpipsShapes(): Shapes {
  const weights = VGG_WIDTHS.map((width, tap) => [`lin${tap}.model.1.weight`, [1, width, 1, 1]]);
  return { ...vgg16Shapes(), ...(Object.fromEntries(weights) as Shapes) };
}

/** A perceptual distance with its weights. */
export interface Lpips {
  /** sha256 of the weights. */
  digest: string;
  params: Params;
  dispose(): void;
}

/**
 * Opens LPIPS from one file that holds VGG16 and the five `linN` weights, or from two, `VGG16,LIN` in either order:
 * torchvision's VGG16 (`features.N.…`) and the `linN.model.1.weight` that the authors publish.
 */
export async function openLpips(spec: string): Promise<Lpips> {
  const paths = spec.split(',').map(path => path.trim());
  const arrays: Record<string, NdArray> = {};
  const digests: Record<string, string> = {};
  for (const [i, path] of paths.entries()) {
    Object.assign(arrays, renamed(await readWeights(path)));
    digests[String(i)] = await sha256OfFile(path);
  }
  const missing = ['lin0.model.1.weight', 'net.slice1.0.weight'].find(key => !(key in arrays));
  if (missing !== undefined)
    throw new UserError(
      `${spec}: has no ${missing.startsWith('lin') ? 'LPIPS weights (lin0 … lin4)' : 'VGG16 (features.0 … features.28)'}; give both, VGG16_FILE,LIN_FILE`,
    );
  const params = loadParams(spec, arrays, lpipsShapes(), { ignores: () => true });
  return { digest: combinedDigest(digests), params, dispose: () => tf.dispose(params) };
}

/** LPIPS's own keys as they are, VGG16's under LPIPS's names, wherever they hang. */
function renamed(arrays: Record<string, NdArray>): Record<string, NdArray> {
  return Object.fromEntries(
    Object.entries(arrays).map(([key, array]) => {
      const [own] = /(net\.slice\d|lin\d)\..*$/.exec(key) ?? [];
      const name = own?.replace(/^(lin\d)\.weight$/, '$1.model.1.weight');
      return [name ?? fromTorchvision(key.replace(/^.*(?=features\.)/, '')) ?? key, array];
    }),
  );
}
