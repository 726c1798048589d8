import { extname } from 'node:path';
import { z } from 'zod';
import { namesOf, UserError } from '../base/index.js';
import { defineCommand } from './command.js';
import { count } from '../base/options.js';
import { POSTERIORS, type FloatDType } from '../io/names.js';
import { namelessDtype } from '../io/options.js';
import { common, dropNonfinite, force, limit } from './options.js';
import { writeTable } from './table.js';

/** Each type also under PyTorch's short name. */
const DTYPES = {
  f32: 'float32',
  f16: 'float16',
  bf16: 'bfloat16',
  float32: 'float32',
  float16: 'float16',
  bfloat16: 'bfloat16',
} as const satisfies Record<string, FloatDType>;

const options = z.object({
  out: z
    .string()
    .optional()
    .describe('FILE.safetensors for weights (default: the input’s name), or a folder for latents'),
  key: z
    .string()
    .optional()
    .describe(
      'which weights of a checkpoint to take: ema, model, state_dict, or a path such as model.encoder; default: averaged weights if there are any; the log reports the choice',
    ),
  dtype: z.enum(namesOf(DTYPES)).optional().describe('floating-point numbers on disk; default: as they are'),
  inputDtype: namelessDtype.describe(
    'type of the numbers of a .npy or .npz where NumPy did not store its name (V2, V1); default: --dtype bfloat16, if given',
  ),
  posterior: z
    .enum(POSTERIORS)
    .default('mode')
    .describe('of latents stored as posterior moments: take the mode or a sample'),
  dropNonfinite,
  limit,
  shardRows: count.optional().describe('images per shard of latents; default 10000, fewer for large latents'),
  resume: z.boolean().default(false).describe('resume an interrupted conversion of latents'),
  force,
  ...common,
});

export const convert = defineCommand({
  name: 'convert',
  describe:
    'Converts weights (.pt, .pth, .ckpt, .bin, .npz) to safetensors without executing their pickle, or latents in any supported format to a latents folder.',
  examples: [
    ['maetok convert vavae.pt', 'writes vavae.safetensors'],
    ['maetok convert model.ckpt --key state_dict --dtype bf16 --out small.safetensors', 'one record, half the size'],
    ['maetok convert latents_from_python.npz --out latents/mine', 'latents with labels, written as shards'],
    [
      'maetok convert bf16.npy --input-dtype bfloat16 --dtype f32 --out latents/mine',
      'numbers stored without the name of their type',
    ],
    ['maetok convert edm2-vae-sd.zip --posterior sample --out latents/sd', 'a sample of each posterior'],
  ],
  inputs: { name: 'input', describe: 'weights, or latents in any form that commands read' },
  options,
  main: ['out', 'key', 'dtype', 'limit', 'resume', 'force'],
  saves: () => true,
  async run(chosen, [input], context) {
    const { convertLatents, convertWeights } = await import('../jobs/convert.js');
    const out = chosen.out ?? withSafetensors(input);
    const dtype = chosen.dtype && DTYPES[chosen.dtype];
    const nameless = chosen.inputDtype ?? (dtype === 'bfloat16' ? dtype : undefined);
    if (out.endsWith('.safetensors')) {
      const { tensors, parameters, key } = await convertWeights(input, out, { ...chosen, dtype, nameless }, context);
      const row = { input, out, key, tensors, parameters };
      await writeTable(context, Object.keys(row), [row], {});
    } else {
      const row = { input, out, images: await convertLatents(input, out, { ...chosen, dtype, nameless }, context) };
      await writeTable(context, Object.keys(row), [row], {});
    }
  },
});

function withSafetensors(input: string): string {
  const end = extname(input);
  if (!/^\.(pt|pth|ckpt|bin|npz)$/.test(end))
    throw new UserError(
      `convert ${input}: cannot tell whether to write weights or latents; give --out FILE.safetensors or --out FOLDER`,
    );
  return `${input.slice(0, -end.length)}.safetensors`;
}
