import { tf, type Tensor4D } from '../engine/index.js';
import { sha256OfFile, withWeightArrays, type NdArray } from '../io/index.js';
import { loadParams, type Params } from '../nn/index.js';
import { efficientNetLite0 } from './efficientnet.js';
import { efficientNetShapes, FEATURES } from './efficientnet-shapes.js';
import type { FeatureExtractor } from './extractor.js';

/** Weights under the PyTorch port's names, checked. */
export const loadEfficientNet = (name: string, weights: Record<string, NdArray>): Params =>
  loadParams(name, weights, efficientNetShapes(), {
    ignores: key => key.endsWith('.num_batches_tracked'),
    advice: 'these are not the weights of EfficientNet-Lite0 in PyTorch’s names',
  });

/** The side that it was trained on. */
export const EFFICIENTNET_SIZE = 224;

/** Opens the feature extractor from its weights file; images are resized to `size`, bilinearly. */
export async function openEfficientNet(path: string, size = EFFICIENTNET_SIZE): Promise<FeatureExtractor> {
  const params = await withWeightArrays(path, arrays => loadEfficientNet(path, arrays));
  return {
    name: `effnet-lite0-${size}`,
    isInception: false,
    input: `bilinear (half-pixel centres) to ${size}, (v - 127) / 128`,
    digest: await sha256OfFile(path),
    widths: { pooled: FEATURES },
    features: pixels => {
      const pooled = tf.tidy(() => {
        const sized = pixels.shape[1] === size && pixels.shape[2] === size ? pixels : resized(pixels, size);
        return efficientNetLite0(params, sized.sub(127).div<Tensor4D>(128)).features;
      });
      return Promise.resolve({ pooled });
    },
    dispose: () => tf.dispose(params),
  };
}

const resized = (pixels: Tensor4D, size: number): Tensor4D =>
  tf.image.resizeBilinear(pixels, [size, size], false, true);
