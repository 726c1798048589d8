import { tf, type Tensor } from '../../engine/index.js';
import type { VerifyCase } from '../case.js';
import type { HostArray } from '../../nn/index.js';
import { tensorOf } from '../../nn/layout.js';
import { mix, type Guidance } from '../../diffusion/guidance.js';
import { labelsOf, numbersOf, recordedOnly, sliceOf, type Results } from './case.js';
import { edmHeun, edmSigmas, type Churn, type Denoiser } from './edm-heun.js';

/* Autoguidance in EDM's terms: x = data + sigma · noise, and closed-form denoisers of Gaussian classes. */

interface AutoguidanceCase {
  parameters: {
    guidance: number[];
    num_steps: number;
    sigma_min: number;
    sigma_max: number;
    rho: number;
    churn: { S_churn: number; S_min: number; S_max: number; S_noise: number };
  };
}

/** mean + (x − mean) s² / (s² + σ²) with each row's own class mean [channels] and deviation s. */
function gaussianDenoiser(means: HostArray, deviations: HostArray, labels: Int32Array): Denoiser {
  const [channels] = means.shape.slice(-1);
  const [centres, spreads] = [numbersOf(means), numbersOf(deviations)];
  const rows = Array.from(labels);
  const centre = (): Tensor =>
    tf.tensor4d(
      rows.flatMap(label => Array.from(centres.slice(label * channels, (label + 1) * channels))),
      [rows.length, channels, 1, 1],
    );
  return (x, sigma) =>
    tf.tidy(() => {
      const shrink = rows.map(label => spreads[label] ** 2 / (spreads[label] ** 2 + sigma ** 2));
      const mean = centre();
      return mean.add(x.sub(mean).mul(tf.tensor4d(shrink, [rows.length, 1, 1, 1])));
    });
}

export async function verifyAutoguidance(recorded: VerifyCase): Promise<Results> {
  const { inputs } = recorded;
  const { parameters } = recorded.config as unknown as AutoguidanceCase;
  const labels = labelsOf(inputs['input.labels']);
  const [main, bad] = ['main', 'bad'].map(name =>
    gaussianDenoiser(inputs[`input.${name}_means`], inputs[`input.${name}_std`], labels),
  );
  const withScale = (scale: number): Guidance => ({ scale, interval: [0, Infinity], rescale: 0 });
  const guided =
    (scale: number): Denoiser =>
    (x, sigma, start) =>
      tf.tidy(() => {
        const target = main(x, sigma, start);
        return mix(bad(x, sigma, start), target, target, withScale(scale));
      });

  const { num_steps, sigma_min: min, sigma_max: max, rho } = parameters;
  const sigmas = edmSigmas(num_steps, { min, max, rho });
  const start = tf.tidy(() => tensorOf(inputs['input.noise']).mul(max));
  const strongest = parameters.guidance.at(-1)!;
  const churn: Churn = {
    amount: parameters.churn.S_churn,
    min: parameters.churn.S_min,
    max: parameters.churn.S_max,
    scale: parameters.churn.S_noise,
    noise: draw => tensorOf(sliceOf(inputs['input.churn_noise'], draw)),
  };
  const results: Results = tf.tidy(() => {
    const unit = tensorOf(inputs['input.noise']);
    const [v, vBad] = ['main', 'bad'].map(name => tensorOf(inputs[`input.velocity_${name}`]));
    return {
      'output.denoised_main_at_sigma1': main(unit, 1, 1),
      'output.denoised_bad_at_sigma1': bad(unit, 1, 1),
      'output.velocity_guided': mix(vBad, v, v, withScale(strongest)),
    };
  });
  for (const precision of ['f32', 'f64']) {
    for (const scale of parameters.guidance)
      results[`output.sample_g${scale}_${precision}`] = await edmHeun(guided(scale), start, sigmas);
    results[`output.sample_churn_${precision}`] = await edmHeun(guided(strongest), start, sigmas, churn);
  }
  start.dispose();
  return recordedOnly(recorded, results);
}
