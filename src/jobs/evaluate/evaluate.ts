import { UserError } from '../../base/index.js';
import { firstReadable, openImages, type ImageDataset } from '../../data/index.js';
import { agreeOnEach, alone } from '../../distributed/index.js';
import { NO_FEATURES } from '../../features/index.js';
import type { Decoding } from '../../io/index.js';
import { VALIDATION } from './fd-ratio.js';
import { metricsFor, ofReconstructions, type MetricChoice } from './metric-choice.js';
import { evaluateReconstructions, fromImages, type ReconstructionSettings } from './reconstructions.js';
import type { Evaluated, EvaluateContext, EvaluationRow, JudgeNetworks } from './rows.js';
import { comparison, openReference, type NamedImages, type SetSettings } from './sets.js';

export type SetEvaluation = SetSettings &
  ReconstructionSettings &
  Decoding &
  MetricChoice & {
    reference: string;
    limit?: number | undefined;
    strict: boolean;
    /** Whether image k of the samples is a reconstruction of image k of the reference. */
    paired: boolean;
    /** Held-out images, compared with the reference as samples are; the unit of FDr. */
    validation?: string | undefined;
  };

/** Sets of images compared with a reference, or one set of reconstructions with its originals. */
export async function evaluateSets(
  inputs: { name: string; path: string }[],
  settings: SetEvaluation,
  judges: JudgeNetworks,
  context: EvaluateContext,
): Promise<Evaluated> {
  const { extractor } = judges;
  const { limit, paired, validation, strict, exif, alpha, grey16 } = settings;
  const held = validation === undefined ? [] : [{ name: VALIDATION, path: validation }];
  if (!extractor && !paired) throw new UserError(NO_FEATURES);
  if (validation !== undefined && inputs.some(({ name }) => name === VALIDATION))
    throw new UserError(
      `${VALIDATION} is what the rows of --validation are called; name the input otherwise (NAME=PATH)`,
    );
  const reading = { exif, alpha, grey16, strict, log: context.log };
  const reference = await openReference(settings.reference, { ...reading, limit: paired ? limit : undefined });
  const samples: NamedImages[] = [];
  try {
    for (const { name, path } of [...inputs, ...held])
      samples.push({ name, images: await openImages(path, { ...reading, limit }) });
    if (held.length > 0 && samples.at(-1)?.images.digest === reference.digest)
      throw new UserError(`--validation ${validation}: is --reference itself; it must be other images`);
    await agreeOnEach(context.communicator ?? alone, {
      [`--reference ${reference.name}: the digest`]: reference.digest,
      ...Object.fromEntries(samples.map(({ name, images }) => [`${name}: the digest`, images.digest])),
    });
    const card = {
      task: paired ? 'reconstruction' : 'generation',
      reference: { digest: reference.digest, count: reference.images?.count ?? null },
      inputs: samples.map(({ name, images }) => ({ name, digest: images.digest, count: images.count })),
    };
    if (paired) return { rows: await evaluatePairs(samples[0], reference.images, settings, judges, context), card };
    const metrics = await metricsFor(settings, ({ byRequest }) => byRequest !== true, extractor);
    const compare = await comparison(reference, extractor!, metrics, settings, context);
    const rows: EvaluationRow[] = [];
    for (const sample of samples) rows.push(...(await compare(sample)));
    return { rows, card };
  } finally {
    for (const { images } of samples) await images.close();
    await reference.close();
  }
}

async function evaluatePairs(
  { name, images }: NamedImages,
  originals: ImageDataset | undefined,
  settings: SetEvaluation,
  judges: JudgeNetworks,
  context: EvaluateContext,
): Promise<EvaluationRow[]> {
  if (!originals) throw new UserError(`${settings.reference}: holds no images; --paired compares image with image`);
  if (images.count !== originals.count)
    throw new UserError(
      `${name}: has ${images.count} images, --reference ${originals.count}; --paired needs equal numbers (--limit applies to both)`,
    );
  const [{ width, height }, original] = await Promise.all([firstReadable(images), firstReadable(originals)]);
  if (settings.size === undefined && (original.width !== width || original.height !== height))
    throw new UserError(
      `${name}: has images of ${width}×${height}, --reference of ${original.width}×${original.height}; ` +
        `--size ${Math.min(width, height)} crops both as ADM does`,
    );
  if (settings.size === undefined && width !== height)
    throw new UserError(`${images.imageName(0)}: is ${width}×${height}; give --size to crop all images to squares`);
  const all = { ...judges, metrics: await metricsFor(settings, ofReconstructions, judges.extractor) };
  const size = settings.size ?? width;
  return await evaluateReconstructions(name, originals, size, fromImages(images), all, settings, context);
}
