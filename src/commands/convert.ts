import { extname } from 'node:path';
import { z } from 'zod';
import { UserError } from '../base/index.js';
import { defineCommand } from './command.js';
import { common, count, dropNonfinite, force, limit, namelessDtype } from './options.js';
import { writeTable } from './table.js';

const DTYPES = {
  f32: 'float32',
  f16: 'float16',
  bf16: 'bfloat16',
  float32: 'float32',
  float16: 'float16',
  bfloat16: 'bfloat16',
} as const;

const options = z.object({
  out: z
    .string()
    .optional()
    .describe('FILE.safetensors for weights (default: the input’s name), or a folder for latents'),
  key: z
    .string()
    .optional()
    .describe(
      'which weights of a checkpoint: ema, model, state_dict, or a path such as model.encoder; default: averaged ones first, and the log says which',
    ),
  dtype: z
    .enum(['f32', 'f16', 'bf16', 'float32', 'float16', 'bfloat16'])
    .optional()
    .describe('floating-point numbers on disk; default: as they are'),
  inputDtype: namelessDtype.describe(
    'what the numbers of a .npy or .npz are where NumPy kept no name of their type (V2, V1); default: --dtype bfloat16, if given',
  ),
  posterior: z.enum(['mode', 'sample']).default('mode').describe('of latents that are a posterior’s moments'),
  dropNonfinite,
  limit,
  shardRows: count.optional().describe('pictures per shard of latents; default 10000, fewer where latents are large'),
  resume: z.boolean().default(false).describe('go on with an interrupted conversion of latents'),
  force,
  ...common,
});

export const convert = defineCommand({
  name: 'convert',
  describe:
    'Turns weights (.pt, .pth, .ckpt, .bin, .npz) into safetensors without running their pickle, or latents of any dialect into a latents folder.',
  examples: [
    ['maetok convert vavae.pt', 'writes vavae.safetensors'],
    ['maetok convert model.ckpt --key state_dict --dtype bf16 --out small.safetensors', 'one record, half the size'],
    ['maetok convert latents_from_python.npz --out latents/mine', 'latents with labels, into shards'],
    [
      'maetok convert bf16.npy --input-dtype bfloat16 --dtype f32 --out latents/mine',
      'numbers whose type is not named',
    ],
    ['maetok convert edm2-vae-sd.zip --posterior sample --out latents/sd', 'a sample of each posterior'],
  ],
  inputs: { name: 'input', describe: 'weights, or latents as every command reads them' },
  options,
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
      const row = { input, out, pictures: await convertLatents(input, out, { ...chosen, dtype, nameless }, context) };
      await writeTable(context, Object.keys(row), [row], {});
    }
  },
});

function withSafetensors(input: string): string {
  const end = extname(input);
  if (!/^\.(pt|pth|ckpt|bin|npz)$/.test(end))
    throw new UserError(`convert ${input}: say with --out FILE.safetensors or --out FOLDER what to make of it`);
  return `${input.slice(0, -end.length)}.safetensors`;
}
