import { z } from 'zod';
import { sampleOptions } from '../jobs/sample/options.js';
import { defineCommand } from './command.js';
import { common } from './options.js';

const options = z.object({ ...sampleOptions.shape, ...common });

export const sample = defineCommand({
  name: 'sample',
  describe: 'Samples images from a diffusion model. Sample k depends on the seed and k only, not on the batch.',
  examples: [
    ['maetok sample runs/sit --tokenizer runs/mae --num 64 --guidance 2 --out samples/sit', 'PNGs, .npz and a grid'],
    ['maetok sample runs/sit --num 50000 --labels random --sampler heun --steps 25 --out fid', 'for `evaluate`'],
    ['maetok sample runs/sit --bad runs/sit-early --guidance 2 --out samples/auto', 'autoguidance'],
    [
      'maetok sample ldit.pt --tokenizer vavae.pt --latents latents --convention lightningdit --guidance 6.7 --interval 0.125,1 --shift 0.3 --steps 250 --out s',
      'published weights, in the convention of their code',
    ],
  ],
  inputs: { name: 'run', describe: 'a run of `train sit-…`, or weights of SiT, DiT, REPA, MAETok’s SiT, LightningDiT' },
  options,
  main: [
    'out',
    'num',
    'labels',
    'guidance',
    'interval',
    'sampler',
    'steps',
    'shift',
    'tokenizer',
    'grid',
    'npz',
    'resume',
    'force',
  ],
  saves: () => true,
  async run(chosen, [input], context) {
    const { startEngine } = await import('../engine/index.js');
    await startEngine();
    const { sampleRun } = await import('../jobs/sample/index.js');
    const { samples, samplesPerSecond } = await sampleRun(input, chosen, context);
    context.log.note(`${chosen.out}: ${samples} samples (${samplesPerSecond.toPrecision(3)} samples/s)`);
  },
});
