import { UserError } from '../base/index.js';
import { z } from 'zod';
import { defineCommand } from './command.js';
import { common } from './options.js';

export const synth = defineCommand({
  name: 'synth',
  describe: 'Runs experiments on mixtures whose modes are known: tests what the paper claims about latent spaces.',
  examples: [
    ['maetok synth modes --help', 'the options of an experiment'],
    ['maetok synth modes --chart nll.png --picture umap.png', 'does a spread-out UMAP mean many modes?'],
    ['maetok synth diffusion --chart excess.png', 'do more modes need more samples for the same diffusion loss?'],
  ],
  inputs: { name: 'experiment', describe: 'modes or diffusion' },
  options: z.object({ ...common }),
  variants: {
    modes: async () => (await import('./synth-modes.js')).synthModes,
    diffusion: async () => (await import('./synth-diffusion.js')).synthDiffusion,
  },
  run: () => Promise.reject(new UserError('synth: name the experiment right after `synth`: modes or diffusion')),
});
