import type { Tensor4D } from '../engine/index.js';
import { channelsFirst, channelsLast, tensorOf, type VerifiedSystem, type Verifier } from '../nn/index.js';
import { efficientNetLite0 } from './efficientnet.js';

const verify: Verifier = async ({ inputs, findWeights }) => {
  const params = await findWeights('efficientnet_lite0');
  const pixels = channelsLast(tensorOf(inputs['input.image_u8'])).sub(127).div<Tensor4D>(128);
  const { features, logits, blocks } = efficientNetLite0(params, pixels);
  return {
    'output.features': features,
    'output.logits': logits,
    ...Object.fromEntries(blocks.map((block, i) => [`output.block${i}`, channelsFirst(block)])),
  };
};

/** Systems of this room that recorded cases can be checked against. */
export const featureSystems: VerifiedSystem[] = [
  {
    name: 'efficientnet-lite0',
    recognises: ({ system }) => String(system).startsWith('EfficientNet-Lite0'),
    verify,
  },
];
