/* `maetok extract` by MAETok-B, and encode and decode of others' tokenizers, against PyTorch, eager and compiled. */
import { parseArgs } from 'node:util';
import { codecRows, SYSTEMS } from './extract/codec.js';
import { jobRow, prepareJob } from './extract/job.js';
import { eachRow } from './helpers/rows.js';
import { csvOf } from './helpers/table.js';

/*
 * All sides of a comparison have the same random weights of the published size and take turns, so that other load on the
 * machine affects all equally; their answers are compared before a ratio is printed. A row of MAETok's, or a system's rows,
 * are measured in processes of their own. Medians over the rounds, of which the first, in which PyTorch compiles, is not timed.
 */
const { values: flags } = parseArgs({
  options: {
    /** One row of MAETok's job alone, or one of the others' systems. */
    system: { type: 'string' },
    preset: { type: 'string', default: 'base' },
    precision: { type: 'string', default: 'f32' },
    /** Precision of the peer; default the same. */
    against: { type: 'string' },
    count: { type: 'string', default: '16' },
    batch: { type: 'string', default: '8' },
    /** Images of one pass of the others' tokenizers. */
    images: { type: 'string', default: '2' },
    rounds: { type: 'string', default: '5' },
    threads: { type: 'string', default: '2' },
    /** Small networks and one round: whether everything runs, not how fast. */
    quick: { type: 'boolean', default: false },
    /** Only makes images and weights of MAETok's job in this folder. */
    prepare: { type: 'string' },
    /** With torch, safetensors, and diffusers and transformers for the others' tokenizers. */
    python: { type: 'string', default: process.env.MAETOK_BENCH_PYTHON ?? 'python3' },
  },
});
const ROWS = [
  ['--system', 'maetok'],
  ['--system', 'maetok', '--precision', 'bf16'],
  ['--system', 'maetok', '--precision', 'bf16', '--against', 'f32'],
  ...SYSTEMS.map(system => ['--system', system]),
];
const { system, python, quick } = flags;
const [count, batch, images, threads] = [flags.count, flags.batch, flags.images, flags.threads].map(Number);
const rounds = quick ? 1 : Number(flags.rounds);

const preset = quick ? 'tiny' : flags.preset;

if (flags.prepare !== undefined) await prepareJob(flags.prepare, { preset, count });
else if (system === undefined) eachRow(import.meta.url, ROWS, process.argv.slice(2));
else if (system === 'maetok') {
  const precision = flags.precision as 'f32' | 'bf16';
  const against = (flags.against ?? precision) as 'f32' | 'bf16';
  process.stdout.write(
    csvOf([await jobRow({ preset, precision, against, count, batch, rounds, threads, quick, python })]),
  );
} else process.stdout.write(csvOf(await codecRows(system, { images, rounds, threads, quick, python })));
