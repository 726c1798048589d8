import { existsSync } from 'node:fs';
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { begunWith, EXIT, refuseOtherWork, UserError, VERSION, type Log } from '../../base/index.js';
import { PathRuler, sampleLatents, type Diffusion, type SamplingPlan } from '../../diffusion/index.js';
import { agreeOnEach, alone, byFirst, inParts, ofRank, shareOf, type Communicator } from '../../distributed/index.js';
import { tf, type Tensor3D } from '../../engine/index.js';
import {
  decodeImage,
  encodePng,
  imageGrid,
  isWholePng,
  LOCK,
  readJsonRecord,
  holdFolder,
  refuseExisting,
  stackedImages,
  writeFileAtomic,
  writeNpz,
  writePng,
  type RawImage,
} from '../../io/index.js';
import type { Tokenizer } from '../../tokenizers/index.js';
import { TrajectoryTable, type TrajectoryRow } from './trajectories.js';

export interface SampleSettings {
  num: number;
  batchSize: number;
  /** Class of the k-th sample. */
  label: (k: number) => number;
  /** Added to 127.5 x before truncation to 8 bits. */
  pixelOffset: number;
  /** Everything that the images depend on; a folder is continued only with the same. */
  card: Record<string, unknown>;
  out: string;
  /** Also write ADM's sample file: `arr_0` images, `arr_1` labels. */
  npz: boolean;
  grid: string;
  /** Images in the grid at most. */
  gridNum: number;
  /** The expected data of the first samples along the way. */
  trajectory?: string | undefined;
  /** Also measure every sample's path. */
  trajectoryMeasures: boolean;
  resume: boolean;
  force: boolean;
}

export interface SampleContext {
  log: Log;
  signal: AbortSignal;
  /** The ranks that share the samples; default one alone. */
  communicator?: Communicator | undefined;
}

export interface SampleResult {
  /** Images in the folder. */
  samples: number;
  /** Speed of this call, including decoding and writing. */
  samplesPerSecond: number;
  /** All paths of the folder, where they are measured, and what they depend on. */
  trajectories?: { rows: TrajectoryRow[]; card: Record<string, unknown> } | undefined;
}

const TRAJECTORY_ROWS = 6;
const TRAJECTORY_FRAMES = 8;
const CARD = 'samples.json';

/**
 * Samples into a folder of PNGs, 000000.png and on, as LightningDiT and the evaluators expect them. A sample's numbers
 * depend on seed and number only, so an interrupted folder is completed with what is missing, by any number of ranks.
 */
export async function sampleImages(
  diffusion: Diffusion,
  plan: SamplingPlan,
  tokenizer: Tokenizer,
  settings: SampleSettings,
  context: SampleContext,
): Promise<SampleResult> {
  const { communicator = alone } = context;
  const { out, card, trajectoryMeasures } = settings;
  const fields = Object.entries(card).map(([field, value]) => [`${out}: ${field}`, value]);
  await agreeOnEach(communicator, Object.fromEntries(fields) as Record<string, unknown>);
  return await holdFolder(out, { communicator }, async () => {
    let paths: TrajectoryTable | undefined;
    const missing = await byFirst(communicator, async () => {
      await openFolder(settings);
      if (trajectoryMeasures) paths = await TrajectoryTable.open(out);
      return await missingSamples(settings, paths, context.log);
    });
    if (trajectoryMeasures) paths ??= TrajectoryTable.ofRank(out, communicator.rank);
    const started = performance.now();
    const part = (): Promise<void> => generate(missing, diffusion, plan, tokenizer, settings, paths, context);
    await inParts(communicator, part);
    const seconds = (performance.now() - started) / 1000;
    await byFirst(communicator, async () => {
      await writeOverview(settings);
      if (settings.npz) await writeSampleNpz(settings, context);
    });
    return {
      samples: settings.num,
      samplesPerSecond: missing.length / seconds,
      trajectories: paths && {
        rows: await paths.ofAll(communicator),
        card: { ...card, paths: `normalised latents, ${plan.guidance.scale === 1 ? 'unguided' : 'guided'}` },
      },
    };
  });
}

/** Numbers of the samples that are not there, or only in part, or whose path was to be measured and was not. */
async function missingSamples(
  { out, num }: SampleSettings,
  trajectories: TrajectoryTable | undefined,
  log: Log,
): Promise<number[]> {
  const missing: number[] = [];
  let unmeasured = 0;
  for (let k = 0; k < num; k++) {
    const path = pngPath(out, k);
    const whole = existsSync(path) && (await isWholePng(path));
    const measured = trajectories?.has(k) ?? true;
    if (whole && measured) continue;
    if (whole) unmeasured++;
    else if (existsSync(path)) log.warn(`${path}: is damaged; it is sampled again`);
    missing.push(k);
  }
  if (unmeasured > 0) log.note(`${out}: ${unmeasured} samples are made again, because their paths were not measured`);
  return missing;
}

const pngPath = (folder: string, k: number): string => join(folder, `${String(k).padStart(6, '0')}.png`);

async function openFolder(settings: SampleSettings): Promise<void> {
  const { out, card, resume } = settings;
  if (resume) await requireSameSamples(settings);
  else await refuseOccupied(settings);
  await writeFileAtomic(join(out, CARD), `${JSON.stringify({ version: VERSION, ...card }, null, 2)}\n`, {
    force: true,
  });
}

async function refuseOccupied({ out, grid, trajectory, force }: SampleSettings): Promise<void> {
  for (const path of [grid, trajectory]) if (path !== undefined) refuseExisting(path, force);
  const own = (await readdir(out).catch(() => [])).filter(name => isOwn.test(name));
  if (own.length > 0 && !force)
    throw new UserError(`${out}: already holds samples; --resume continues them, --force replaces them`, EXIT.failed);
  for (const name of own) await rm(join(out, name));
}

/** Names of what is written into the folder. */
const isOwn = /^(\d{6,}\.png|samples\.(json|npz)|trajectories(_rank\d+)?\.csv(\.protocol\.json)?)$/;

/** A folder is continued only with samples of the same model, made in the same way. */
async function requireSameSamples({ out, card }: SampleSettings): Promise<void> {
  const path = join(out, CARD);
  if (!existsSync(path)) {
    if ((await readdir(out)).every(name => name === LOCK)) return;
    throw new UserError(`${out}: holds no ${CARD} to resume from; leave out --resume`);
  }
  const before = await readJsonRecord(path);
  refuseOtherWork(out, before, card, { free: ['version'], say: begunWith('sample into another --out') });
}

/** Samples of one batch, and those of them that are wanted. */
interface Batch {
  samples: number[];
  wanted: ReadonlySet<number>;
}

/**
 * The batches of missing samples. They begin at multiples of their size and are whole, though some of their samples may be there:
 * a sample's rounding may depend on its batch, which is thus the same whenever it is made and by which rank.
 */
function batchesOf(missing: readonly number[], { batchSize, num }: SampleSettings): Batch[] {
  const batches = new Map<number, Set<number>>();
  for (const k of missing) {
    const first = k - (k % batchSize);
    batches.set(first, (batches.get(first) ?? new Set()).add(k));
  }
  return [...batches].map(([first, wanted]) => ({
    samples: Array.from({ length: Math.min(batchSize, num - first) }, (_, i) => first + i),
    wanted,
  }));
}

async function generate(
  missing: number[],
  diffusion: Diffusion,
  plan: SamplingPlan,
  tokenizer: Tokenizer,
  settings: SampleSettings,
  trajectories: TrajectoryTable | undefined,
  { log, signal, communicator = alone }: SampleContext,
): Promise<void> {
  const { num, out, label } = settings;
  const ruler = trajectories && new PathRuler();
  const before = num - missing.length;
  if (before > 0) log.reused(`${out}: has ${before} of ${num} samples already`);
  const all = batchesOf(missing, settings);
  const { start, end } = shareOf(communicator, all.length);
  const own = all.slice(start, end);
  const share = own.reduce((sum, { wanted }) => sum + wanted.size, 0);
  let done = communicator.size === 1 ? before : 0;
  const progress = log.progress(`sampling${ofRank(communicator)}`, done + share, 'samples');
  try {
    for (const [at, { samples, wanted }] of own.entries()) {
      progress.update(done);
      const frames = start + at === 0 && settings.trajectory !== undefined ? new Map<number, Tensor3D>() : undefined;
      const latents = await sampleLatents(plan, samples, Int32Array.from(samples, label), {
        signal,
        onState: ruler && (states => ruler.take(states)),
        onStep: (step, steps) => progress.update(done, `step ${step}/${steps}`),
        onExpectedData: frames && {
          rows: TRAJECTORY_ROWS,
          frames: TRAJECTORY_FRAMES,
          take: (data, t) => void frames.set(t, data),
        },
      }).catch(savedUpTo(`${done} samples${ofRank(communicator)}`, out));
      const images = await decoded(diffusion, tokenizer, latents, settings.pixelOffset);
      const write = (k: number): Promise<void> => writePng(pngPath(out, k), images[k - samples[0]], { force: true });
      await Promise.all([...wanted].map(write));
      if (ruler) trajectories.append(samples, label, await ruler.read(), wanted);
      if (frames) await writeTrajectory([...frames.values()], diffusion, tokenizer, settings);
      progress.update((done += wanted.size));
      await nextTurn();
    }
  } finally {
    ruler?.dispose();
    progress.stop();
  }
}

function savedUpTo(done: string, out: string): (error: unknown) => never {
  return error => {
    if (!(error instanceof UserError) || error.exitCode !== EXIT.interrupted) throw error;
    throw new UserError(
      `interrupted; ${done} are saved in ${out}, the same command with --resume continues`,
      EXIT.interrupted,
    );
  };
}

/** Normalised latents → images; frees the latents. */
async function decoded(
  { mean, std }: Diffusion,
  tokenizer: Tokenizer,
  latents: Tensor3D,
  pixelOffset: number,
): Promise<RawImage[]> {
  const own = tf.tidy(() => latents.mul(tf.tensor1d(std)).add<Tensor3D>(tf.tensor1d(mean)));
  latents.dispose();
  const images = await tokenizer.decode(own);
  // `stackedImages` adds 128; other codes add less.
  const shifted = tf.tidy(() => images.add((pixelOffset - 128) / 127.5));
  const data = (await shifted.data()) as Float32Array;
  const { shape } = shifted;
  tf.dispose([own, images, shifted]);
  return stackedImages({ shape, data });
}

/** One row per sample, time from left to right. */
async function writeTrajectory(
  frames: Tensor3D[],
  diffusion: Diffusion,
  tokenizer: Tokenizer,
  { trajectory, pixelOffset }: SampleSettings,
): Promise<void> {
  const columns: RawImage[][] = [];
  for (const frame of frames) columns.push(await decoded(diffusion, tokenizer, frame, pixelOffset));
  const rows = columns[0].flatMap((_, row) => columns.map(column => column[row]));
  await writePng(trajectory!, imageGrid(rows, { columns: columns.length }), { force: true });
}

async function writeOverview({ out, grid, num, gridNum }: SampleSettings): Promise<void> {
  const shown = Array.from({ length: Math.min(num, gridNum) }, (_, k) => k);
  const images = await Promise.all(shown.map(k => decodeImage(pngPath(out, k))));
  await writeFileAtomic(grid, await encodePng(imageGrid(images)), { force: true });
}

/** `arr_0` [n, h, w, 3] uint8 and `arr_1` [n] int64, an image at a time. */
async function writeSampleNpz({ out, num, label }: SampleSettings, { log }: SampleContext): Promise<void> {
  const { width, height } = await decodeImage(pngPath(out, 0));
  const progress = log.progress('writing samples.npz', num, 'samples');
  async function* images(): AsyncIterable<Uint8Array> {
    for (let k = 0; k < num; k++) {
      yield (await decodeImage(pngPath(out, k))).data;
      progress.update(k + 1);
    }
  }
  try {
    await writeNpz(
      join(out, 'samples.npz'),
      {
        arr_0: { shape: [num, height, width, 3], dtype: 'uint8', chunks: images() },
        arr_1: { shape: [num], dtype: 'int64', data: BigInt64Array.from({ length: num }, (_, k) => BigInt(label(k))) },
      },
      { force: true },
    );
  } finally {
    progress.stop();
  }
}
