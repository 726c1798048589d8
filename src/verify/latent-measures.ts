import { z } from 'zod';
import {
  cells,
  correlationDecay,
  frequencyEnergy,
  highFrequencyShare,
  imageMeans,
  localVersusDistant,
  neighbourConsistency,
  overStandardised,
  pairProducts,
  regionSimilarities,
  tokenContrast,
  velocityVariance,
  type ChannelScale,
  type Grid,
  type LatentRows,
  type MeanDistance,
} from '../diagnose/diffusability/index.js';
import { channelMoments, statisticsOf } from '../latents/statistics.js';
import { toTokens } from '../latents/layout.js';
import type { HostArray } from '../nn/index.js';
import { arrayRows } from '../rows/index.js';
import { caseConfig, type VerifiedSystem, type VerifyCase } from './case.js';

const parameters = z.object({
  viv_alternations: z.int().positive(),
  viv_least_rows: z.int().positive(),
  lds_far: z.int().positive(),
  srss_near: z.int().positive(),
  srss_far: z.int().positive(),
  cds_max: z.int().positive(),
});
type Parameters = z.output<typeof parameters>;

/** Measures of a space of latents by which diffusion models are predicted: `maetok diagnose --measure diffusability`. */
export const latentMeasuresSystem: VerifiedSystem = {
  name: 'latent measures',
  recognises: ({ system }) => String(system).startsWith('latent measures'),
  verify,
};

interface Space extends LatentRows {
  grid: Grid;
  scale: ChannelScale;
}

async function verify(recorded: VerifyCase): Promise<Record<string, HostArray>> {
  const { parameters: chosen } = caseConfig(recorded, z.object({ parameters }));
  const { inputs } = recorded;
  const space = spaceOf(inputs['input.latents']);
  const labels = Int32Array.from(inputs['input.labels'].data, Number);
  const { viv_alternations: alternations, viv_least_rows: leastRows } = chosen;
  const viv = await velocityVariance(space, space.scale, labels, { alternations, leastRows });
  return {
    'output.viv': numbers([viv.published]),
    'output.within_class_share': numbers([viv.withinShare]),
    ...(await ofFrequencies(space, recorded)),
    ...(await ofNeighbours(space, labels, recorded)),
    ...(await ofPositions(space, chosen)),
    ...(await ofRegions(space, chosen, inputs['input.masks'])),
  };
}

const numbers = (data: number[]): HostArray => ({ shape: [data.length], data });

function spaceOf({ shape: [n, channels, height, width], data }: HostArray): Space {
  const layout = { tokens: height * width, channels };
  const rows = Float32Array.from(data, Number);
  toTokens(rows, layout);
  return {
    ...layout,
    grid: [height, width],
    rows: arrayRows('latents', rows, n, channels * layout.tokens),
    scale: statisticsOf(channelMoments(rows, layout)),
  };
}

/** `output.sec_RHO`, for the shares that the case recorded. */
async function ofFrequencies(space: Space, { recorded }: VerifyCase): Promise<Record<string, HostArray>> {
  const products = pairProducts('z', space.tokens);
  await overStandardised(space, space.scale, [products]);
  const energy = frequencyEnergy(products.mean(), space.grid);
  return outputsNamed(recorded, /^output\.sec_(.+)$/, ([, rho]) => [
    highFrequencyShare(energy, space.grid, Number(rho)),
  ]);
}

/** `output.lnc_K_DISTANCE`. */
async function ofNeighbours(
  space: Space,
  labels: Int32Array,
  { recorded }: VerifyCase,
): Promise<Record<string, HostArray>> {
  const means = imageMeans(
    Int32Array.from(labels, (_, row) => row),
    space.channels,
  );
  await overStandardised(space, space.scale, [means]);
  return outputsNamed(recorded, /^output\.lnc_(\d+)_(cosine|l2)$/, ([, k, distance]) =>
    neighbourConsistency(means.means(), labels, distance as MeanDistance, [Number(k)]),
  );
}

/** `output.lds`, `output.cds` and `output.rmsc`, a number per image. */
async function ofPositions(space: Space, chosen: Parameters): Promise<Record<string, HostArray>> {
  const ruler = cells({ far: chosen.lds_far, last: chosen.cds_max });
  const distances = ruler.distances(space.grid);
  const contrast = tokenContrast();
  await overStandardised(space, space.scale, [contrast]);
  const [lds, cds]: number[][] = [[], []];
  for await (const { start, rows, data } of space.rows.chunks({ chunkRows: 1 })) {
    const cosines = pairProducts('unit', space.tokens);
    const own = { ...space, rows: arrayRows(String(start), data, rows, space.rows.width) };
    await overStandardised(own, space.scale, [cosines]);
    lds.push(localVersusDistant(cosines.mean(), distances, ruler) ?? NaN);
    cds.push(correlationDecay(cosines.mean(), distances, ruler) ?? NaN);
  }
  return {
    'output.lds': numbers(lds),
    'output.cds': numbers(cds),
    'output.rmsc': numbers(contrast.values),
  };
}

/** `output.srss`, a number per image. */
async function ofRegions(
  space: Space,
  { srss_near: near, srss_far: far }: Parameters,
  masks: HostArray | undefined,
): Promise<Record<string, HostArray>> {
  if (masks === undefined) return {};
  const ruler = { ...cells({ far }), near };
  const data = Uint8Array.from(masks.data, value => (Number(value) > 0 ? 1 : 0));
  const regions = regionSimilarities({ tokens: space.tokens, data }, [
    { ruler, distances: ruler.distances(space.grid) },
  ]);
  await overStandardised(space, space.scale, [regions]);
  return { 'output.srss': numbers(regions.values[0]) };
}

/** Recomputes every recorded output whose name matches. */
async function outputsNamed(
  recorded: VerifyCase['recorded'],
  pattern: RegExp,
  compute: (name: RegExpExecArray) => number[] | Promise<number[]>,
): Promise<Record<string, HostArray>> {
  const outputs: Record<string, HostArray> = {};
  for (const name of Object.keys(recorded)) {
    const match = pattern.exec(name);
    if (match) outputs[name] = numbers(await compute(match));
  }
  return outputs;
}
