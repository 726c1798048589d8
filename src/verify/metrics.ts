import type { VerifiedSystem, Verifier } from './case.js';
import { asFloat32, toBytes, type TypedArray } from '../io/index.js';
import { frechetDistance } from '../metrics/frechet.js';
import { addToGaussian, emptyGaussian, momentsOf, type FeatureMoments } from '../metrics/gaussian.js';
import { addLogits, consecutive, emptyScore, shuffledSplits, splitScores } from '../metrics/inception-score.js';
import { polynomialMmd } from '../metrics/kid.js';
import { mongeDistance } from '../metrics/mind.js';
import { PAIR_METRICS } from '../metrics/pairs.js';
import { precisionRecall, squaredRadii } from '../metrics/precision-recall.js';
import { chosenRows, type FeatureRows } from '../metrics/rows.js';

interface Recorded {
  shape: number[];
  data: ArrayLike<number | bigint>;
}

const rowsOf = ({ shape: [rows, width], data }: Recorded): FeatureRows => ({
  rows,
  width,
  data: asFloat32(data as TypedArray),
});
const array = (data: Float32Array | Float64Array | Uint8Array, shape: number[]) => ({ shape, data });
const scalar = (value: number) => array(Float64Array.of(value), []);
const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;
const populationStd = (values: readonly number[]): number =>
  Math.sqrt(mean(values.map(value => (value - mean(values)) ** 2)));

function moments(rows: FeatureRows): FeatureMoments {
  const gaussian = emptyGaussian(rows.width);
  addToGaussian(gaussian, rows);
  return momentsOf(gaussian);
}

function scores(logits: FeatureRows, splitOf: (index: number) => number): number[] {
  const state = emptyScore(splitOf);
  addLogits(state, logits);
  return splitScores(state);
}

const verifyDistribution: Verifier = async ({ inputs, recorded, config }) => {
  const [sample, reference] = [rowsOf(inputs['input.features_sample']), rowsOf(inputs['input.features_reference'])];
  const [deficientA, deficientB] = [
    rowsOf(inputs['input.features_rankdef_a']),
    rowsOf(inputs['input.features_rankdef_b']),
  ];
  const [a, b] = [moments(sample), moments(reference)];
  const frechet = scalar(frechetDistance(a, b));
  const deficient = scalar(frechetDistance(moments(deficientA), moments(deficientB)));
  const logits = rowsOf(inputs['input.logits']);
  const { torch_fidelity, adm } = config.inception_score as {
    torch_fidelity: { splits: number };
    adm: { split_size: number };
  };
  const permutation = Int32Array.from(recorded['output.is_permutation'].data as ArrayLike<number>);
  const inOrder = scores(
    logits,
    shuffledSplits(
      permutation.map((_, i) => i),
      torch_fidelity.splits,
    ),
  );
  const shuffled = scores(logits, shuffledSplits(permutation, torch_fidelity.splits));
  const perSplit = scores(logits, consecutive(adm.split_size));
  const { precision, recall } = await precisionRecall(sample, reference);
  const half = await precisionRecall(sample, reference, 'half');
  const mmds = await subsetMmds(sample, reference, recorded);
  return {
    'output.frechet_eigenvalues': frechet,
    'output.frechet_sqrtm': frechet,
    'output.frechet_rankdef_eigenvalues': deficient,
    'output.frechet_rankdef_sqrtm': deficient,
    'output.frechet_self': scalar(frechetDistance(a, a)),
    'output.mu_sample': array(a.mean, [sample.width]),
    'output.mu_reference': array(b.mean, [reference.width]),
    'output.sigma_sample': array(a.covariance, [sample.width, sample.width]),
    'output.sigma_reference': array(b.covariance, [reference.width, reference.width]),
    'output.is_permutation': recorded['output.is_permutation'],
    'output.is_in_order_mean': scalar(mean(inOrder)),
    'output.is_in_order_std': scalar(populationStd(inOrder)),
    'output.is_shuffled_mean': scalar(mean(shuffled)),
    'output.is_shuffled_std': scalar(populationStd(shuffled)),
    'output.adm_is': scalar(mean(perSplit)),
    'output.adm_is_per_split': array(Float64Array.from(perSplit), [perSplit.length]),
    'output.adm_precision': scalar(precision),
    'output.adm_recall': scalar(recall),
    'output.adm_precision_half_emulation': scalar(half.precision),
    'output.adm_recall_half_emulation': scalar(half.recall),
    'output.tf_precision': scalar(precision),
    'output.tf_recall': scalar(recall),
    'output.squared_radius_sample': array(await squaredRadii(sample, 3), [sample.rows]),
    'output.squared_radius_reference': array(await squaredRadii(reference, 3), [reference.rows]),
    'output.kid_per_subset': array(Float64Array.from(mmds), [mmds.length]),
    'output.kid_mean': scalar(mean(mmds)),
    'output.kid_std': scalar(populationStd(mmds)),
    'output.kid_subset_indices_sample': recorded['output.kid_subset_indices_sample'],
    'output.kid_subset_indices_reference': recorded['output.kid_subset_indices_reference'],
  };
};

async function subsetMmds(
  sample: FeatureRows,
  reference: FeatureRows,
  recorded: Record<string, Recorded>,
): Promise<number[]> {
  const indices = (side: string, subset: number): Int32Array => {
    const { shape, data } = recorded[`output.kid_subset_indices_${side}`];
    return Int32Array.from((data as Int32Array).subarray(subset * shape[1], (subset + 1) * shape[1]));
  };
  const values: number[] = [];
  for (let subset = 0; subset < recorded['output.kid_subset_indices_sample'].shape[0]; subset++)
    values.push(
      await polynomialMmd(
        chosenRows(sample, indices('sample', subset)),
        chosenRows(reference, indices('reference', subset)),
      ),
    );
  return values;
}

/** [n, c, h, w] → [n, h, w, c]. */
function channelsLast({ shape: [n, c, h, w], data }: Recorded): Float32Array {
  const out = new Float32Array(n * c * h * w);
  let at = 0;
  for (let i = 0; i < n; i++)
    for (let pixel = 0; pixel < h * w; pixel++)
      for (let channel = 0; channel < c; channel++) out[at++] = Number(data[(i * c + channel) * h * w + pixel]);
  return out;
}

const verifyPairs: Verifier = ({ inputs }) => {
  const [n, , height, width] = inputs['input.image_gt'].shape;
  const [truths, reconstructions] = [channelsLast(inputs['input.image_gt']), channelsLast(inputs['input.image_rec'])];
  const length = height * width * 3;
  const each = (name: string, variant: string): number[] => {
    const metric = PAIR_METRICS.find(found => found.name === name && found.variant === variant)!;
    return Array.from({ length: n }, (_, i) => {
      const part = (all: Float32Array): Float32Array => all.subarray(i * length, (i + 1) * length);
      return metric.of({ height, width, truth: part(truths), reconstruction: part(reconstructions) });
    });
  };
  const perImage = (values: number[]) => array(Float64Array.from(values), [n]);
  const lightningdit = each('ssim', 'lightningdit');
  const maetokPsnr = perImage(each('psnr', 'maetok'));
  const bytes = ({ shape, data }: Recorded) => array(toBytes(Float32Array.from(data as ArrayLike<number>)), shape);
  return Promise.resolve({
    'output.gt_uint8': bytes(inputs['input.image_gt']),
    'output.rec_uint8': bytes(inputs['input.image_rec']),
    'output.uint8_psnr_per_image': perImage(each('psnr', 'uint8')),
    'output.maetok_psnr': maetokPsnr,
    'output.maetok_psnr_range1_check': maetokPsnr,
    'output.dcae_ssim_per_image': perImage(each('ssim', 'gaussian-uint8')),
    'output.lightningdit_ssim_per_image': perImage(lightningdit),
    'output.lightningdit_ssim_batch': scalar(mean(lightningdit)),
    'output.skimage_ssim_range1': perImage(each('ssim', 'skimage')),
    'output.maetok_ssim_range2': perImage(each('ssim', 'maetok')),
  });
};

const verifyMind: Verifier = async ({ inputs }) => {
  const rows = (name: string): FeatureRows => rowsOf(inputs[`input.${name}`]);
  return {
    'output.mind': scalar(await mongeDistance(rows('features_1'), rows('features_2'), rows('directions'))),
  };
};

/** Systems of this room that recorded cases can be checked against. */
export const metricSystems: VerifiedSystem[] = [
  {
    name: 'distribution-metrics',
    recognises: ({ system }) => String(system).startsWith('Distribution metrics'),
    verify: verifyDistribution,
  },
  { name: 'mind', recognises: ({ system }) => String(system).startsWith('MIND'), verify: verifyMind },
  { name: 'psnr-ssim', recognises: ({ system }) => String(system).startsWith('PSNR and SSIM'), verify: verifyPairs },
];
