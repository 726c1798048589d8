import { z } from 'zod';
import { UserError } from '../base/index.js';
import { TRAINABLES } from '../jobs/train/names.js';
import { SCHEDULES } from '../training/names.js';
import { defineCommand, type Command } from './command.js';
import { count, grouped, nonNegative, positive, whole } from '../base/options.js';
import { common, force, requeue } from './options.js';

/** Flags of every training. They have no defaults: what is not typed is decided by the model. */
const loop = grouped('Training', {
  steps: count.optional().describe('number of weight updates'),
  batchSize: count.optional().describe('samples per gradient'),
  lr: positive.optional().describe('learning rate'),
  schedule: z.enum(SCHEDULES).optional().describe('learning rate after the warm-up'),
  warmup: whole.optional().describe('steps of linear warm-up'),
  weightDecay: nonNegative.optional().describe('decoupled weight decay of matrices (norms and biases have none)'),
  clip: nonNegative.optional().describe('maximum global norm of the gradient; 0: no clipping'),
  ema: nonNegative
    .lt(1, 'must be below 1')
    .optional()
    .describe('decay of the moving average of the weights; 0: no average'),
  accumulate: count.optional().describe('batches per update, whose gradients are averaged'),
  checkpointEvery: count.optional().describe('steps between checkpoints; one is always written after the last step'),
  logEvery: count.optional().describe('steps per row of metrics.csv'),
  evaluateEvery: count.optional().describe('steps between evaluations; there is always one after the last step'),
  keep: count.optional().describe('how many of the newest checkpoints to keep'),
});

const run = {
  out: z.string().min(1).describe('run folder'),
  resume: z
    .boolean()
    .default(false)
    .describe('resume the run in --out, bit for bit; its flags need not be given again'),
  requeue,
  force,
  dryRun: z
    .boolean()
    .default(false)
    .describe('print the resolved configuration, parameters, memory and time of one step; write nothing'),
};

const shared = { ...loop, ...run, ...common };

export const train = defineCommand({
  name: 'train',
  describe: 'Trains a model: tokenizers on images, diffusion models on latents. Each model has its own options.',
  examples: [
    ['maetok train maetok --help', 'the options of a model'],
    ['maetok train maetok --data photos/ --preset small --out runs/mae', 'a MAETok on a folder of images'],
    ['maetok train sit-s --latents latents/mae --out runs/sit', 'a diffusion model on latents'],
    ['maetok train maetok --out runs/mae --resume', 'resume after Ctrl-C, a crash or a kill'],
  ],
  inputs: { name: 'model', describe: Object.keys(TRAINABLES).join(', ') },
  options: z.object(shared),
  variants: Object.fromEntries(Object.keys(TRAINABLES).map(model => [model, () => trainOne(model)])),
  run: () => Promise.reject(new UserError('train: name the model right after `train`')),
});

/** `maetok train <model>` with the model's own options in addition to the shared ones. */
async function trainOne(model: string): Promise<Command> {
  const { describe, examples, options, main } = await TRAINABLES[model]();
  const own = Object.keys(options.shape);
  return defineCommand({
    name: `train ${model}`,
    describe,
    examples,
    options: z.object({ ...options.shape, ...shared }),
    main: [...(main ?? own), 'steps', 'batchSize', 'lr', ...Object.keys(run)] as (keyof typeof shared)[],
    remembered: typed => rememberedOptions(model, typed),
    saves: ({ dryRun }) => !dryRun,
    ranks: () => true,
    async run(chosen, _inputs, context) {
      const { trainModel, forecastTraining } = await import('../jobs/train/index.js');
      const values: Record<string, unknown> = chosen;
      const pick = (names: string[]): Record<string, unknown> =>
        Object.fromEntries(names.map(name => [name, values[name]]));
      const order = {
        model,
        options: pick(own),
        settings: { ...pick(Object.keys(loop)), seed: chosen.seed },
        ...pick(['resume', 'force']),
        out: chosen.out,
        command: context.argv,
      };
      if (chosen.dryRun) {
        const { stringify } = await import('yaml');
        context.stdout.write(stringify(await forecastTraining(order, context)));
        return;
      }
      const { step, out } = await trainModel(order, context);
      context.log.wrote(out, `${model}: ${step} steps done, saved in ${out}`);
    },
  });
}

/** With --resume, the flags that the run was started with. */
async function rememberedOptions(model: string, typed: Record<string, unknown>): Promise<Record<string, unknown>> {
  if (typed.resume !== true || typeof typed.out !== 'string') return {};
  const { readRunConfig } = await import('../io/index.js');
  const { refuseFolder } = await import('../training/index.js');
  refuseFolder({ out: typed.out, resume: true, force: false });
  const { config } = await readRunConfig(typed.out);
  if (config.model !== model)
    throw new UserError(
      `${typed.out}: is a run of ${String(config.model)}; resume it with \`train ${String(config.model)}\``,
    );
  const training = (config.training ?? {}) as Record<string, unknown>;
  const settings = Object.fromEntries([...Object.keys(loop), 'seed'].map(name => [name, training[name]]));
  const given = Object.entries({ ...(config.options as object), ...settings, precision: config.precision });
  return Object.fromEntries(given.filter(([, value]) => value !== undefined && value !== null));
}
