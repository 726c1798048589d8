import { availableCores, inPackage } from '../base/index.js';
import { z } from 'zod';
import type { Study } from '../compare/index.js';
import { defineCommand } from './command.js';
import { studyOptions } from './compare-options.js';
import { runStudy } from './compare.js';

const study = (name: string): string => inPackage(`studies/${name}.yaml`);

/** A step on WebAssembly takes four to six times longer; a quarter of the steps takes nine minutes on two cores. */
const SLOWER = 4;

const options = studyOptions.extend({
  out: z.string().default('demo-out').describe('folder of the study'),
  quick: z
    .boolean()
    .default(false)
    .describe('only a few steps of everything: shows that it runs; the results mean nothing'),
});

export const demo = defineCommand({
  name: 'demo',
  describe:
    'Runs the whole workflow at small scale on synthetic images: train three tokenizers, extract, fit mixtures, probe, train ' +
    'SiT on each latent space, sample, and report. Takes minutes on two cores.',
  examples: [
    ['maetok demo', 'into demo-out/; open demo-out/report.html'],
    ['maetok demo --dry-run', 'the command lines that it runs, to try on your own images'],
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
        'no native engine: models are trained for a quarter of the demo’s steps; run `maetok engine install` to train for all of them',
      );
    // Models this small leave a second core idle, so tokenizers are trained in parallel.
    const jobs = chosen.jobs ?? Math.min(Object.keys(whole.tokenizers).length, availableCores());
    await runStudy(slow ? shortened(whole) : whole, chosen.out, { ...chosen, jobs }, context);
  },
});

/** The study with fewer training steps. */
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
