/* Encode and decode of others' tokenizers at 256 pixels, opened from the folder that diffusers saved. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { readNpy } from '../../src/io/index.js';
import { apart } from '../helpers/apart.js';
import { openPeer, type Peer } from '../helpers/peer.js';
import { median, type Row } from '../helpers/table.js';

/** Names in codec.py. */
export const SYSTEMS = ['rae', 'flux2', 'qwen-image'];

export interface CodecOptions {
  images: number;
  rounds: number;
  threads: number;
  compile: boolean;
  quick: boolean;
  python: string;
}

/** What a pass over all images cost: on the clock, of all cores, and at most in memory, the process and its weights included. */
interface Cost {
  seconds: number;
  cpu: number;
  megabytes?: number | undefined;
}
type Work = 'encode' | 'decode';
interface Theirs {
  torch: string;
  side: number;
  flops: Record<Work, number>;
}

const besides = (name: string): string => fileURLToPath(new URL(name, import.meta.url));

const numbersOf = async (path: string): Promise<Float32Array> => (await readNpy(path)).data as Float32Array;

export async function codecRows(system: string, options: CodecOptions): Promise<Row[]> {
  const { images, rounds, threads, compile, quick, python } = options;
  const folder = mkdtempSync(join(tmpdir(), 'maetok-bench-'));
  const open: { end(): void }[] = [];
  try {
    const theirs = await openPeer<Theirs, Cost>(
      python,
      [besides('codec.py'), system, folder, `${images}`, `${threads}`, JSON.stringify({ compile, quick })],
      { needs: 'torch, diffusers and transformers' },
    );
    open.push(theirs);
    const ours = await openPeer<{ engine: string }, Cost>(
      process.execPath,
      ['--import', 'tsx', besides('ours.ts'), folder, `${theirs.ready.side}`],
      { env: { TF_NUM_INTRAOP_THREADS: `${threads}` } },
    );
    open.push(ours);
    const rows: Row[] = [];
    for (const work of ['encode', 'decode'] as const) {
      const costs = await inTurns(system, work, rounds, ours, theirs);
      for (const precision of ['f32', 'bf16'] as const) {
        const expected = await numbersOf(join(folder, work === 'encode' ? 'latents.npy' : 'decoded.npy'));
        const difference = apart(await numbersOf(join(folder, `${work}-${precision}.npy`)), expected);
        if (!(difference < LARGEST_DIFFERENCE[precision]))
          throw new Error(`${system}, ${work}, ${precision}: differs from PyTorch by ${difference} of the largest`);
        const [own, other] = [costs[precision], costs.theirs];
        rows.push({
          work: `${work} by ${system}${quick ? ', small' : ''}, ${theirs.ready.side} px, batch ${images}`,
          engine: ours.ready.engine,
          precision,
          peer: `PyTorch ${theirs.ready.torch} f32${compile ? ' compiled' : ''}`,
          images_per_s: images / own.seconds,
          peer_images_per_s: images / other.seconds,
          ratio: other.seconds / own.seconds,
          ratio_of_cpu_seconds: other.cpu / own.cpu,
          gflops: theirs.ready.flops[work] / own.seconds / 1e9,
          peer_gflops: theirs.ready.flops[work] / other.seconds / 1e9,
          peak_mb: own.megabytes,
          peer_peak_mb: other.megabytes,
          max_rel_diff: difference,
        });
      }
    }
    return rows;
  } finally {
    for (const peer of open) peer.end();
    rmSync(folder, { recursive: true, force: true });
  }
}

const LARGEST_DIFFERENCE = { f32: 2e-4, bf16: 0.1 };

/** Medians of the rounds, of which the first warms up. */
async function inTurns(
  system: string,
  work: Work,
  rounds: number,
  ours: Peer<unknown, Cost>,
  theirs: Peer<unknown, Cost>,
): Promise<Record<'f32' | 'bf16' | 'theirs', Cost>> {
  const costs: Record<'f32' | 'bf16' | 'theirs', Cost[]> = { f32: [], bf16: [], theirs: [] };
  for (let round = 0; round <= rounds; round++) {
    const turn = {
      f32: await ours.ask(`${work} f32`),
      bf16: await ours.ask(`${work} bf16`),
      theirs: await theirs.ask(work),
    };
    const told = Object.entries(turn).map(([who, { seconds }]) => `${who} ${seconds.toFixed(2)} s`);
    process.stderr.write(`${system}, ${work}, round ${round}: ${told.join(', ')}\n`);
    if (round > 0) for (const who of ['f32', 'bf16', 'theirs'] as const) costs[who].push(turn[who]);
  }
  const middle = (each: Cost[]): Cost => ({
    seconds: median(each.map(({ seconds }) => seconds)),
    cpu: median(each.map(({ cpu }) => cpu)),
    megabytes: each[0].megabytes === undefined ? undefined : median(each.map(({ megabytes }) => megabytes!)),
  });
  return { f32: middle(costs.f32), bf16: middle(costs.bf16), theirs: middle(costs.theirs) };
}
