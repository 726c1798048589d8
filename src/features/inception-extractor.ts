import { tf } from '../engine/index.js';
import { sha256OfFile, withWeightArrays } from '../io/index.js';
import type { FeatureExtractor } from './extractor.js';
import { inception, inceptionInput } from './inception.js';
import { INCEPTION_CLASSES, INCEPTION_FEATURES, INCEPTION_SPATIAL, loadInception } from './inception-weights.js';

/** The FID network from torch-fidelity's or pytorch-fid's weights (.pth, or the same as safetensors). */
export async function openInception(path: string): Promise<FeatureExtractor> {
  const params = await withWeightArrays(path, arrays => loadInception(path, arrays));
  return {
    name: 'inception-v3',
    isInception: true,
    input: 'TensorFlow 1 bilinear to 299, (v - 128) / 128',
    digest: await sha256OfFile(path),
    widths: { pooled: INCEPTION_FEATURES, spatial: INCEPTION_SPATIAL, logits: INCEPTION_CLASSES },
    features: pixels => {
      const { pooled, spatial, logits } = tf.tidy(() => {
        const output = inception(params, inceptionInput(pixels));
        return { pooled: output.pooled, spatial: output.spatial, logits: output.logits };
      });
      return Promise.resolve({ pooled, spatial, logits });
    },
    dispose: () => tf.dispose(params),
  };
}
