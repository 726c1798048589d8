import { tf, type Tensor2D, type Tensor4D } from '../engine/index.js';
import { readWeights, sha256OfFile, type NdArray } from '../io/index.js';
import { loadParams, type Params } from '../nn/index.js';
import { efficientNetLite0 } from './efficientnet.js';
import { efficientNetShapes, FEATURES } from './efficientnet-shapes.js';
import type { FeatureExtractor } from './extractor.js';

/** Weights under the PyTorch port's names, checked. */
export const loadEfficientNet = (name: string, weights: Record<string, NdArray>): Params =>
  loadParams(name, weights, efficientNetShapes(), { ignores: key => key.endsWith('.num_batches_tracked') });

/** Opens the feature extractor from its weights file. */
export async function openEfficientNet(path: string): Promise<FeatureExtractor> {
  const params = loadEfficientNet(path, await readWeights(path));
  const digest = await sha256OfFile(path);
  return {
    name: 'efficientnet-lite0',
    width: FEATURES,
    digest,
    features: images =>
      tf.tidy((): Tensor2D => {
        // (v − 127) / 128 of the 8-bit pixel v = 127.5 x + 127.5.
        const pixels = images.mul(127.5 / 128).add<Tensor4D>(0.5 / 128);
        return efficientNetLite0(params, pixels).features;
      }),
    dispose: () => tf.dispose(params),
  };
}
