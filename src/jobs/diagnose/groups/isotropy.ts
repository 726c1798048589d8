import { columnMeans, excessKurtosis, isoScore, meanCosine, type RowSample } from '../../../diagnose/index.js';
import type { Measured, Task } from '../task.js';

/** Whether directions are used alike, and how far the numbers are from Gaussian ones. */
export async function isotropy({ rows: source, ranks, sample: draw, spectrum, moments }: Task): Promise<Measured[]> {
  const sample = await draw();
  const { mean } = await moments();
  const kurtosis = (await excessKurtosis(source, mean, ranks)).filter(value => !Number.isNaN(value)).sort();
  const { rows } = source;
  const mid = kurtosis[Math.floor(kurtosis.length / 2)];
  return [
    { measure: 'iso_score', value: isoScore(await spectrum()), rows },
    { measure: 'mean_cosine', value: meanCosine(sample), rows: sample.rows },
    { measure: 'mean_cosine', value: meanCosine(centred(sample)), setting: 'centred', rows: sample.rows },
    {
      measure: 'excess_kurtosis',
      value: kurtosis.reduce((a, b) => a + b, 0) / kurtosis.length,
      setting: 'mean',
      rows,
    },
    { measure: 'excess_kurtosis', value: mid, setting: 'median', rows },
    { measure: 'excess_kurtosis', value: kurtosis[kurtosis.length - 1], setting: 'largest', rows },
  ];
}

function centred(sample: RowSample): RowSample {
  const mean = columnMeans(sample);
  return { ...sample, data: sample.data.map((value, at) => value - mean[at % sample.width]) };
}
