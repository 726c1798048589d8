import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import type { Study } from '../compare/index.js';
import { defineCommand } from './command.js';
import { runStudy, studyOptions } from './compare.js';

const study = (name: string): string => fileURLToPath(new URL(`../../studies/${name}.yaml`, import.meta.url));

/** A step on WebAssembly takes four to six times longer; a quarter of them is over in nine minutes on two cores. */
const SLOWER = 4;

const options = studyOptions.extend({
  out: z.string().default('demo-out').describe('folder of the study'),
  quick: z.boolean().default(false).describe('a few steps of everything: whether it runs, not what it finds'),
});

export const demo = defineCommand({
  name: 'demo',
  describe:
    'The whole job, small, on pictures that it draws: train three tokenizers, extract, fit mixtures, probe, train ' +
    'SiT on each latent space, sample, and report. Minutes on two cores.',
  examples: [
    ['maetok demo', 'into demo-out/; open demo-out/report.html'],
    ['maetok demo --dry-run', 'the command lines that it runs, to try with pictures of your own'],
  ],
  options,
  saves: () => true,
  async run(chosen, _inputs, context) {
    const { readStudy } = await import('../compare/index.js');
    const { startEngine } = await import('../engine/index.js');
    const whole = await readStudy(study(chosen.quick ? 'demo-quick' : 'demo'));
    const slow = !chosen.quick && ['wasm', 'js'].includes(await startEngine());
    if (slow)
      context.log.note(
        'no native engine: models are trained for a quarter of the demo’s steps; `maetok engine install` for all of them',
      );
    // Such small models leave a second core idle: tokenizers are trained side by side instead.
    const jobs = chosen.jobs ?? Math.min(Object.keys(whole.tokenizers).length, availableParallelism());
    await runStudy(slow ? shortened(whole) : whole, chosen.out, { ...chosen, jobs }, context);
  },
});

/** The study with fewer steps of training. */
function shortened({ tokenizers, diffusion, ...study }: Study): Study {
  const fewer = <T extends object>(flags: T): T => ({
    ...flags,
    ...Object.fromEntries(
      Object.entries(flags)
        .filter(([name]) => name === 'steps' || name === 'evaluate-every')
        .map(([name, steps]) => [name, Math.ceil(Number(steps) / SLOWER)]),
    ),
  });
  const shorter = Object.fromEntries(Object.entries(tokenizers).map(([name, flags]) => [name, fewer(flags)]));
  return { ...study, tokenizers: shorter, diffusion: diffusion && fewer(diffusion) };
}
