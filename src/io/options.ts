import { z } from 'zod';
import { grouped } from '../base/options.js';
import { NAMELESS_DTYPES, WEIGHTS } from './names.js';

/** How images that are more than 8-bit RGB become that; part of what every number measured on them means. */
export const decoding = grouped('Decoding of images', {
  /** The orientation that EXIF (in AVIF: the file's own boxes) asks for: left as it is, or applied. */
  exif: z.enum(['ignore', 'turn']).default('ignore').describe('EXIF orientation: ignored, as in Pillow, or applied'),
  /** Transparency: its channel dropped, whatever colours lie beneath; or laid over white. */
  alpha: z
    .enum(['drop', 'white'])
    .default('drop')
    .describe('transparency: dropped, as in Pillow’s convert("RGB"), or blended over white'),
  /** Grey of 16 bits: clipped at 255, or its upper eight bits. */
  grey16: z
    .enum(['clip', 'scale'])
    .default('clip')
    .describe('16-bit grey: clipped at 255, as in Pillow, or reduced to its upper eight bits'),
});
export type Decoding = z.output<z.ZodObject<typeof decoding>>;

/** Which weights a model is opened with; where no average was kept, `ema` is the weights themselves. */
export const weights = z
  .enum(WEIGHTS)
  .default('ema')
  .describe('ema: the moving average of the weights; raw: the weights themselves');

/** Types that NumPy writes without a name: their files say `V2` or `V1`, raw memory of two bytes or one. */
export const namelessDtype = z
  .enum(NAMELESS_DTYPES)
  .optional()
  .describe('type of the numbers in .npy or .npz latents where NumPy did not store its name (V2, V1)');
