import {
  cells,
  correlationDecay,
  frequencyEnergy,
  highFrequencyShare,
  localVersusDistant,
  pixels,
  radialSpectrum,
  type Grid,
  type Masks,
  type Ruler,
} from '../../../../diagnose/diffusability/index.js';
import type { Measured, Task } from '../../task.js';

/** What SEC counts as high, as shares of the highest frequency. */
const SHARES = [0.25, 0.5];
const RULERS: readonly Ruler[] = [cells(), pixels];

/** A ruler laid on a grid. */
export interface Laid {
  ruler: Ruler;
  /** [t, t] */
  distances: Float64Array;
}

export const laidOn = (grid: Grid): Laid[] => RULERS.map(ruler => ({ ruler, distances: ruler.distances(grid) }));

/** From the products of tokens: SEC and the power spectrum. */
export function ofFrequencies(products: Float64Array, grid: Grid, rows: number): Measured[] {
  const energy = frequencyEnergy(products, grid);
  const { slope, r2, bands } = radialSpectrum(energy, grid);
  return [
    ...SHARES.map(rho => ({
      measure: 'sec',
      value: highFrequencyShare(energy, grid, rho),
      setting: `above=${rho}`,
      rows,
    })),
    { measure: 'frequency_slope', value: slope, setting: 'DCT', rows },
    { measure: 'frequency_slope_r2', value: r2, setting: 'DCT', rows },
    ...bands.map(({ band, share }) => ({ measure: 'frequency_share', value: share, setting: band, rows })),
  ];
}

/** Of tokens near and far, on the grid as published and in pixels; what the grid is too small for is left out. */
export function ofPositions({ name, rows: { rows }, log }: Task, cosines: Float64Array, rulers: Laid[]): Measured[] {
  return rulers.flatMap(({ ruler, distances }) => {
    const found: [string, number | undefined, string][] = [
      ['lds', localVersusDistant(cosines, distances, ruler), nearAndFar(ruler)],
      ['cds', correlationDecay(cosines, distances, ruler), ruler.followed],
    ];
    return found.flatMap(([measure, value, setting]) => {
      if (value !== undefined) return [{ measure, value, setting, rows }];
      log.warn(`${name}: its grid is too small for ${measure.toUpperCase()} (${setting}), which is left out`);
      return [];
    });
  });
}

const nearAndFar = ({ name, near, far }: Ruler): string => `${name} near<=${near} far>=${far}`;

/** Foreground and background as a share of the image from which iREPA takes an image into its comparison. */
const ENOUGH = 0.25;

/** SRSS over all images in which some token has both, and over those alone that iREPA compares. */
export function ofRegions(
  { name, log }: Task,
  values: number[][],
  { tokens, data }: Masks,
  rulers: Laid[],
): Measured[] {
  const share = (image: number): number =>
    data.subarray(image * tokens, (image + 1) * tokens).reduce((sum, value) => sum + value, 0) / tokens;
  return values.flatMap((own, r) => {
    const setting = nearAndFar(rulers[r].ruler);
    const counted = [...own.keys()].filter(image => !Number.isNaN(own[image]));
    const even = counted.filter(image => share(image) >= ENOUGH && share(image) <= 1 - ENOUGH);
    const kinds: [number[], string][] = [
      [counted, setting],
      [even, `${setting} both>=1/4`],
    ];
    return kinds.flatMap(([images, setting]) => {
      if (images.length > 0)
        return [{ measure: 'srss', value: mean(images.map(image => own[image])), setting, rows: images.length }];
      log.warn(`${name}: no image has foreground and background enough for SRSS (${setting}), which is left out`);
      return [];
    });
  });
}

export const mean = (values: readonly number[]): number =>
  values.reduce((sum, value) => sum + value, 0) / values.length;
