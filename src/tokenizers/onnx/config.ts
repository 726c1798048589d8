import { existsSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { z } from 'zod';
import { UserError } from '../../base/index.js';
import { IMAGE_LAYOUTS } from '../../features/names.js';
import { checked, readYaml } from '../../io/index.js';
import { POSTERIORS } from '../../io/names.js';

const three = z.array(z.number()).length(3);

/** What a YAML beside an encoder says; every field has the default of a network exported from PyTorch. */
const SCHEMA = z.strictObject({
  /** Files, relative to the YAML. */
  encoder: z.string().optional(),
  decoder: z.string().optional(),
  name: z.string().optional(),
  image_size: z.number().int().positive().default(256),
  /** Images per call, for networks that were exported with a fixed batch without saying so. */
  batch: z.number().int().positive().optional(),
  pixels: z
    .strictObject({
      layout: z.enum(IMAGE_LAYOUTS).default('nchw'),
      /** Values of black and white. */
      range: z.array(z.number()).length(2).default([-1, 1]),
      /** Subtracted from and divided into each channel after `range`. */
      mean: three.default([0, 0, 0]),
      std: three.default([1, 1, 1]),
    })
    .prefault({}),
  latents: z
    .strictObject({
      layout: z.enum([...IMAGE_LAYOUTS, 'tokens', 'channels-first']).optional(),
      /** The network gives mean and log-variance along the channels. */
      moments: z.boolean().default(false),
      posterior: z.enum(POSTERIORS).default('mode'),
      /** Handed on as (z − shift) · scale; one number or one per channel. */
      scale: z.union([z.number(), z.array(z.number())]).default(1),
      shift: z.union([z.number(), z.array(z.number())]).default(0),
    })
    .prefault({}),
});

export type OnnxConfig = z.output<typeof SCHEMA>;
export type LatentLayout = NonNullable<OnnxConfig['latents']['layout']>;

export interface OnnxFiles {
  encoder: string;
  decoder: string | undefined;
  config: OnnxConfig;
}

/** `encoder.onnx[,decoder.onnx]` with an optional `encoder.yaml`, or a YAML that names both. */
export async function readOnnxSpec(spec: string): Promise<OnnxFiles> {
  const [first, second] = spec.split(',').map(part => part.trim());
  if (/\.ya?ml$/.test(first)) {
    const config = await readOnnxConfig(first);
    if (config.encoder === undefined) throw new UserError(`${first}: names no encoder, e.g. "encoder: encoder.onnx"`);
    const beside = (path: string): string => resolve(dirname(first), path);
    return { encoder: beside(config.encoder), decoder: config.decoder && beside(config.decoder), config };
  }
  const described = first.replace(/\.onnx$/, '.yaml');
  const config = existsSync(described) ? await readOnnxConfig(described) : SCHEMA.parse({});
  return { encoder: first, decoder: second || undefined, config };
}

async function readOnnxConfig(path: string): Promise<OnnxConfig> {
  return checked(path, (await readYaml(path, 'YAML')) ?? {}, SCHEMA);
}
