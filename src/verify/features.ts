import type { Tensor4D } from '../engine/index.js';
import type { VerifiedSystem, Verifier } from './case.js';
import { channelsFirst, channelsLast, paramsFrom } from '../nn/index.js';
import { tensorOf } from '../nn/layout.js';
import { efficientNetLite0 } from '../features/efficientnet.js';
import { inception, inceptionInput, resizedAsTf1 } from '../features/inception.js';
import { inceptionShapes, loadInception } from '../features/inception-weights.js';
import { lpips, lpipsActivations, lpipsShapes } from '../features/lpips.js';
import { syntheticWeights, type SyntheticRule } from '../features/synthetic-weights.js';

const verifyEfficientNet: Verifier = async ({ inputs, findWeights }) => {
  const params = await findWeights('efficientnet_lite0');
  const pixels = channelsLast(tensorOf(inputs['input.image_u8'])).sub(127).div<Tensor4D>(128);
  const { features, logits, blocks } = efficientNetLite0(params, pixels);
  return {
    'output.features': features,
    'output.logits': logits,
    ...Object.fromEntries(blocks.map((block, i) => [`output.block${i}`, channelsFirst(block)])),
  };
};

const verifyInception: Verifier = ({ config, inputs }) => {
  const params = loadInception('synthetic', syntheticWeights(config.weights as SyntheticRule, inceptionShapes()));
  const pixels = channelsLast(tensorOf(inputs['input.image'])) as Tensor4D;
  const { pooled, logits, spatial, ...stages } = inception(params, inceptionInput(pixels));
  const corner = resizedAsTf1(pixels, 299, 299).slice([0, 0, 0, 0], [-1, 8, 8, -1]);
  return Promise.resolve({
    ...Object.fromEntries(Object.entries(stages).map(([channels, mean]) => [`output.${channels}`, mean])),
    'output.2048': pooled,
    'output.logits_unbiased': logits,
    'output.logits': logits.add(params['fc.bias']),
    'output.softmax_unbiased': logits.softmax(),
    'output.spatial_2023': spatial,
    'mid.resized_corner_8x8': channelsFirst(corner),
    'output.resized_31x37': channelsFirst(resizedAsTf1(pixels, 31, 37)),
  });
};

const verifyLpips: Verifier = ({ config, inputs }) => {
  const made = syntheticWeights(config.weights as SyntheticRule, lpipsShapes());
  const params = paramsFrom(made);
  for (const key in params) if (key.startsWith('lin')) params[key] = params[key].abs();
  const image = (name: string) => channelsLast(tensorOf(inputs[`input.image_${name}`])) as Tensor4D;
  const [a, b] = [image('a'), image('b')];
  const means = lpipsActivations(params, a).map((tap, i) => [`mid.layer${i}_mean_per_channel`, tap.mean([1, 2])]);
  return Promise.resolve({
    'output.lpips': lpips(params, a, b),
    'output.lpips_self': lpips(params, a, a),
    ...Object.fromEntries(means),
  });
};

/** Systems of this room that recorded cases can be checked against. */
export const featureSystems: VerifiedSystem[] = [
  {
    name: 'efficientnet-lite0',
    recognises: ({ system }) => String(system).startsWith('EfficientNet-Lite0'),
    verify: verifyEfficientNet,
  },
  {
    name: 'inception',
    recognises: ({ system }) => String(system).startsWith('FID InceptionV3'),
    verify: verifyInception,
  },
  { name: 'lpips', recognises: ({ system }) => String(system).startsWith('LPIPS (VGG16)'), verify: verifyLpips },
];
