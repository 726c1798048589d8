import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { defineCommand } from './command.js';
import { runStudy, studyOptions } from './compare.js';

const study = (name: string): string => fileURLToPath(new URL(`../../studies/${name}.yaml`, import.meta.url));

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
  async run(chosen, _inputs, context) {
    const { readStudy } = await import('../compare/index.js');
    await runStudy(await readStudy(study(chosen.quick ? 'demo-quick' : 'demo')), chosen.out, chosen, context);
  },
});
