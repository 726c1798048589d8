import { RandomNumbers } from '../../src/base/index.js';
import { hostMatMul } from '../../src/engine/index.js';
import type { Mixture, MixtureSpace } from '../../src/gmm/index.js';

/** What is planted: a mixture within some axes, and noise in all. */
export interface Plan {
  rows: number;
  tokens: number;
  channels: number;
  /** Axes that the mixture varies along. */
  axes: number;
  components: number;
}

/** x = loadings (means_k + factors_k ε) + noise η, where ε and η are standard normal. Arrays are row-major. */
export interface Planted extends Plan {
  /** Cumulative, [components]. */
  shares: Float64Array;
  /** [components, axes] */
  means: Float64Array;
  /** [components, axes, axes] */
  factors: Float64Array;
  /** [width, axes] */
  loadings: Float64Array;
  noise: number;
}

export const widthOf = ({ tokens, channels }: Plan): number => tokens * channels;

/** Of the variance, that of the noise: 90% then lie within the mixture's leading axes. */
const NOISE = 0.095;
/** Variance along axis i falls as i to this power. */
const POWER = -0.7;
/** Of the mixture's variance, that of its means; of a component's, what is its own and not that of all. */
const BETWEEN = 0.05;
const OWN = 0.3;

/** Numbers of variance 1. The heaviest component has about three times the weight of the lightest. */
export function planted(plan: Plan, random: RandomNumbers): Planted {
  const { axes, components } = plan;
  const width = widthOf(plan);
  const spectrum = Float64Array.from({ length: axes }, (_, i) => (i + 1) ** POWER);
  const total = sum(spectrum);
  const scale = spectrum.map(value => Math.sqrt((value / total) * (1 - NOISE) * width));
  const weights = Float64Array.from(random.for('weights').uniforms(components), u => 0.5 + u);
  const weight = sum(weights);
  let share = 0;
  return {
    ...plan,
    shares: weights.map(own => (share += own / weight)),
    means: Float64Array.from(
      random.for('means').normals(components * axes),
      (value, i) => value * Math.sqrt(BETWEEN) * scale[i % axes],
    ),
    factors: Float64Array.from(random.for('factors').normals(components * axes ** 2), (value, i) => {
      const [row, column] = [Math.floor(i / axes) % axes, i % axes];
      const common = row === column ? Math.sqrt(1 - OWN) : 0;
      return scale[row] * Math.sqrt(1 - BETWEEN) * (common + value * Math.sqrt(OWN / axes));
    }),
    loadings: Float64Array.from(random.for('loadings').normals(width * axes), value => value / Math.sqrt(width)),
    noise: Math.sqrt(NOISE),
  };
}

const sum = (values: Float64Array): number => values.reduce((total, value) => total + value, 0);

/** The planted mixture of rows after a reduction. */
export function reducedPlanted(plan: Planted, space: MixtureSpace): Mixture {
  const { axes, components, shares, loadings, noise } = plan;
  const { width, dims, mean, components: directions } = space;
  const map = directions!.map((value, i) => value / (space.scale?.[Math.floor(i / width)] ?? 1));
  const product = (a: Float64Array, b: Float64Array, [m, k, n]: number[]): Float64Array =>
    hostMatMul(a, b, { m, k, n, transposeB: true });
  const loaded = hostMatMul(map, loadings, { m: dims, k: width, n: axes });
  const offset = product(mean, map, [1, width, dims]);
  const remainder = product(map, map, [dims, width, dims]);
  const covariances = new Float64Array(components * dims ** 2);
  for (let k = 0; k < components; k++) {
    const factor = hostMatMul(loaded, plan.factors.slice(k * axes ** 2, (k + 1) * axes ** 2), {
      ...{ m: dims, k: axes, n: axes },
    });
    const own = product(factor, factor, [dims, axes, dims]);
    covariances.set(
      own.map((value, i) => value + noise ** 2 * remainder[i]),
      k * dims ** 2,
    );
  }
  return {
    covarianceType: 'full',
    components,
    dims,
    weights: shares.map((share, k) => share - (k > 0 ? shares[k - 1] : 0)),
    means: product(plan.means, loaded, [components, axes, dims]).map((value, i) => value - offset[i % dims]),
    covariances,
  };
}
