/* Encode and decode of others' tokenizers at 256 pixels, opened from the folder that diffusers saved. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Precision } from '../../src/engine/index.js';
import { readNpy } from '../../src/io/index.js';
import { apart } from '../helpers/apart.js';
import type { Cost } from '../helpers/cost.js';
import { openPeer } from '../helpers/peer.js';
import type { Row } from '../helpers/table.js';
import { comparison, openTorch, told, type Each } from '../helpers/torch.js';
import { LARGEST_DIFFERENCE } from './job.js';

/** Names in codec.py. */
export const SYSTEMS = ['rae', 'flux2', 'qwen-image'];

export interface CodecOptions {
  images: number;
  rounds: number;
  threads: number;
  quick: boolean;
  python: string;
}

type Work = 'encode' | 'decode';
interface Theirs {
  torch: string;
  side: number;
  flops: Record<Work, number>;
}

/** What is compared: a precision of ours with one of theirs. */
const PAIRS: [Precision, Precision][] = [
  ['f32', 'f32'],
  ['bf16', 'bf16'],
  ['bf16', 'f32'],
];

const besides = (name: string): string => fileURLToPath(new URL(name, import.meta.url));

const numbersOf = async (path: string): Promise<Float32Array> => (await readNpy(path)).data as Float32Array;

/** None where there is no peer: it is the one that makes the weights. */
export async function codecRows(system: string, options: CodecOptions): Promise<Row[]> {
  const { images, rounds, threads, quick, python } = options;
  const folder = mkdtempSync(join(tmpdir(), 'maetok-bench-'));
  const open: { end(): void }[] = [];
  try {
    const args = [besides('codec.py'), system, folder, `${images}`, `${threads}`, quick ? 'quick' : 'full'];
    const torch = await openTorch<Theirs, Cost>(args, {
      python,
      quick,
      modules: ['numpy', 'diffusers', 'transformers'],
    });
    open.push(torch);
    if (torch.ready === undefined) return [];
    const { side, flops, torch: version } = torch.ready;
    const env = { TF_NUM_INTRAOP_THREADS: `${threads}` };
    const ours = await openPeer<{ engine: string }, Cost>(
      process.execPath,
      ['--import', 'tsx', besides('ours.ts'), folder, `${side}`],
      env,
    );
    open.push(ours);
    const rows: Row[] = [];
    for (const work of ['encode', 'decode'] as const) {
      const turns: Record<Precision, { ours: Cost; theirs: Each<Cost> }>[] = [];
      for (let round = 0; round <= rounds; round++) {
        const turn = async (precision: Precision) => {
          const line = `${work} ${precision}`;
          const costs = { ours: await ours.ask(line), theirs: await torch.ask(line) };
          process.stderr.write(`${system}, ${line}, round ${round}: ${told({ ours: costs.ours, ...costs.theirs })}\n`);
          return costs;
        };
        turns.push({ f32: await turn('f32'), bf16: await turn('bf16') });
      }
      const expected = await numbersOf(join(folder, work === 'encode' ? 'latents.npy' : 'decoded.npy'));
      for (const [precision, against] of PAIRS) {
        const difference = apart(await numbersOf(join(folder, `${work}-${precision}.npy`)), expected);
        if (!(difference < LARGEST_DIFFERENCE[precision]))
          throw new Error(`${system}, ${work}, ${precision}: differs from PyTorch by ${difference} of the largest`);
        const timed = turns.slice(1).map(turn => ({ ours: turn[precision].ours, ...turn[against].theirs }));
        const compared = comparison(timed, images);
        rows.push({
          work: `${work} by ${system}${quick ? ', small' : ''}, ${side} px, batch ${images}, an image`,
          engine: ours.ready.engine,
          precision,
          peer: `PyTorch ${version} ${against}`,
          ...compared,
          gflops: flops[work] / 1e6 / images / Number(compared.ms),
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
