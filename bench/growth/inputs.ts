import { join } from 'node:path';
import { RandomNumbers } from '../../src/base/index.js';
import { createLatentsWriter } from '../../src/latents/index.js';

/** Files that commands read. */
export interface Inputs {
  /** Latents in ten classes. */
  latents(shape: Shape): string;
  /** A MAETok of the smallest size. */
  tokenizer(): string;
  /** Latents of it. */
  encoded(): string;
  /** A SiT of the smallest size, trained on those. */
  diffusion(): string;
  /** A path that nothing is at yet. */
  fresh(): string;
}

interface Shape {
  rows: number;
  tokens: number;
  channels: number;
}
type Latents = Shape & { path: string };

const CLASSES = 10;
const BATCH = 1000;

/** Names of files in `folder`; `make` writes those that were named and are not there yet, with the command line where it can. */
export function inputsIn(folder: string, maetok: (words: string[]) => void) {
  const at = (name: string): string => join(folder, name);
  const [tokenizer, latents, diffusion] = ['tokenizer', 'latents', 'diffusion'].map(at);
  const wanted = new Map<string, Latents>();
  const made = new Set<string>();
  let paths = 0;
  let networks = false;

  const network = (path: string): string => {
    networks = true;
    return path;
  };
  const inputs: Inputs = {
    latents: shape => {
      const path = at(Object.values(shape).join('x'));
      wanted.set(path, { ...shape, path });
      return path;
    },
    tokenizer: () => network(tokenizer),
    encoded: () => network(latents),
    diffusion: () => network(diffusion),
    fresh: () => at(`out-${paths++}`),
  };

  async function make(): Promise<void> {
    for (const one of wanted.values()) if (!made.has(one.path)) await writeLatents(one);
    wanted.forEach((_, path) => made.add(path));
    if (!networks || made.has(diffusion)) return;
    const data = ['--data', 'synthetic:scenes?count=256'];
    const short = ['--steps', '2', '--batch-size', '8'];
    maetok(['train', 'maetok', ...data, '--aux', 'none', ...short, '--out', tokenizer]);
    maetok(['extract', '--tokenizer', tokenizer, ...data, '--out', latents]);
    maetok(['train', 'sit-tiny', '--latents', latents, ...short, '--out', diffusion]);
    made.add(diffusion);
  }
  return { inputs, make };
}

/** Latents of correlated channels whose classes differ by their means. */
async function writeLatents({ path, rows, tokens, channels }: Latents): Promise<void> {
  const random = new RandomNumbers(0, 'growth');
  const width = tokens * channels;
  const centres = random.for('centres').normals(CLASSES * width);
  const writer = await createLatentsWriter(path, { tokens, channels, meta: {} }, { images: rows });
  for (let start = 0; start < rows; start += BATCH) {
    const count = Math.min(BATCH, rows - start);
    const latents = random.at(start).normals(count * width);
    const labels = Int32Array.from({ length: count }, (_, i) => (start + i) % CLASSES);
    for (let at = 0; at < latents.length; at++) {
      const before = at % width === 0 ? 0 : latents[at - 1];
      latents[at] =
        0.6 * latents[at] + 0.6 * before + 0.3 * centres[labels[Math.floor(at / width)] * width + (at % width)];
    }
    await writer.append({ images: labels.map((_, i) => start + i), latents, labels });
  }
  await writer.finish();
}
