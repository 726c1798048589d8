/* `maetok extract` by MAETok-B, and encode and decode of others' tokenizers, against PyTorch eager float32. */
import { parseArgs } from 'node:util';
import { codecRows, SYSTEMS } from './extract/codec.js';
import { jobRows } from './extract/job.js';
import { csvOf } from './helpers/table.js';

/*
 * All sides of a comparison have the same random weights of the published size and take turns, so that other load on the
 * machine affects all equally; their answers are compared before a ratio is printed. Medians over the rounds.
 */
const { values: flags } = parseArgs({
  options: {
    /** Of the names below, with commas between. */
    systems: { type: 'string', default: ['maetok', ...SYSTEMS].join(',') },
    preset: { type: 'string', default: 'base' },
    count: { type: 'string', default: '16' },
    batch: { type: 'string', default: '8' },
    /** Images of one pass of the others' tokenizers. */
    images: { type: 'string', default: '2' },
    rounds: { type: 'string', default: '5' },
    threads: { type: 'string', default: '2' },
    /** PyTorch compiles the others' tokenizers. */
    compile: { type: 'boolean', default: false },
    /** Small networks and one round: whether everything runs, not how fast. */
    quick: { type: 'boolean', default: false },
    /** With torch, safetensors, and diffusers and transformers for the others' tokenizers. */
    python: { type: 'string', default: process.env.MAETOK_BENCH_PYTHON ?? 'python3' },
  },
});
const { python, quick, compile } = flags;
const [count, batch, images, threads] = [flags.count, flags.batch, flags.images, flags.threads].map(Number);
const rounds = quick ? 1 : Number(flags.rounds);

for (const system of flags.systems.split(',')) {
  const rows =
    system === 'maetok'
      ? await jobRows({ preset: quick ? 'tiny' : flags.preset, count, batch, rounds, threads, python })
      : await codecRows(system, { images, rounds, threads, compile, quick, python });
  process.stdout.write(csvOf(rows));
}
