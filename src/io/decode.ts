import { readFile } from 'node:fs/promises';
import type { Sharp } from 'sharp';
import { messageOf, UserError } from '../base/index.js';
import { bmpSize, readBmp, type LayeredImage } from './bmp.js';
import type { RawImage } from './images.js';
import type { Decoding } from './options.js';
import {
  avifTurn,
  firstGifFrame,
  isPngGrey16,
  jpegChannels,
  imageFormat,
  tiffTags,
  type ImageFormat,
} from './image-headers.js';
import { pnmSize, readPnm } from './pnm.js';
import { sharp } from './sharp.js';

/** What `Image.open(file).convert('RGB')` of Pillow 13 gives, which the published pipelines read images with. */
export const PILLOW: Decoding = { exif: 'ignore', alpha: 'drop', grey16: 'clip' };

/** File names that are taken for images: torchvision's, GIF and AVIF. */
export const isImageName = (name: string): boolean => /\.(jpe?g|png|ppm|bmp|pgm|pbm|tiff?|webp|gif|avif)$/i.test(name);

/**
 * Decodes an image, from a file or from its bytes, as 8-bit RGB. By default it equals Pillow's `convert('RGB')` bit by
 * bit, except AVIF's colours, whose halved planes libheif widens otherwise: grey and palettes are widened, CMYK
 * multiplied out, an embedded colour profile is ignored; only the first frame of an animation is read. A TIFF's
 * orientation is always applied, as Pillow has it.
 * @throws UserError if the bytes are not a complete image in a supported format.
 */
export async function decodeImage(
  source: string | Uint8Array,
  decoding: Decoding = PILLOW,
  name = 'image',
): Promise<RawImage> {
  try {
    const bytes = typeof source === 'string' ? await readFile(source) : source;
    return await READERS[formatOf(bytes)](bytes, decoding);
  } catch (error) {
    throw unreadable(typeof source === 'string' ? source : name, error);
  }
}

/** Width and height as `decodeImage` will give them, from the header alone. */
export async function imageSize(
  source: string | Uint8Array,
  { exif }: Decoding = PILLOW,
  name = 'image',
): Promise<{ width: number; height: number }> {
  try {
    const found = await opened(source)
      .metadata()
      .catch(() => undefined);
    if (found && found.format !== 'heif' && found.format !== 'svg') {
      const { width, height, autoOrient } = found;
      return exif === 'turn' || found.format === 'tiff' ? autoOrient : { width, height };
    }
    const bytes = typeof source === 'string' ? await readFile(source) : source;
    const format = formatOf(bytes);
    if (format === 'bmp') return bmpSize(bytes);
    if (format === 'pnm') return pnmSize(bytes);
    const { width, height } = await opened(bytes).metadata();
    return exif === 'ignore' && avifTurn(bytes).quarters % 2 === 1
      ? { width: height, height: width }
      : { width, height };
  } catch (error) {
    throw unreadable(typeof source === 'string' ? source : name, error);
  }
}

/** What an image is before it becomes 8-bit RGB: `RGB`, `grey`, `palette`, `CMYK`, also `16-bit`, `with alpha`, `animated`. */
export async function imageMode(source: string | Uint8Array): Promise<string> {
  const found = await opened(source)
    .metadata()
    .catch(() => undefined);
  if (!found) return 'RGB';
  const { space, depth, hasAlpha, isPalette, pages = 1 } = found;
  const colours = space === 'b-w' || space === 'grey16' ? 'grey' : space === 'cmyk' ? 'CMYK' : 'RGB';
  return [
    depth === 'ushort' ? '16-bit' : undefined,
    isPalette ? 'palette' : colours,
    hasAlpha ? 'with alpha' : undefined,
    pages > 1 ? 'animated' : undefined,
  ]
    .filter(word => word !== undefined)
    .join(' ');
}

function formatOf(bytes: Uint8Array): ImageFormat {
  if (bytes.length === 0) throw new UserError('the file is empty');
  const format = imageFormat(bytes);
  if (!format) throw new UserError('it is in no supported format (JPEG, PNG, WebP, TIFF, BMP, PNM, GIF, AVIF)');
  return format;
}

/** A truncated or damaged image is an error here, never a half-grey image; a mere oddity of the encoder is not. */
const opened = (source: string | Uint8Array) => sharp(source, { failOn: 'error', ignoreIcc: true });

const oriented = (image: Sharp, { exif }: Pick<Decoding, 'exif'>): Sharp =>
  exif === 'turn' ? image.autoOrient() : image;

const READERS: Record<ImageFormat, (bytes: Uint8Array, decoding: Decoding) => Promise<RawImage>> = {
  async jpeg(bytes, decoding) {
    return jpegChannels(bytes) === 4 ? await cmyk(bytes, decoding) : await rgb(bytes, decoding);
  },
  async png(bytes, decoding) {
    return isPngGrey16(bytes) && decoding.grey16 === 'clip'
      ? await clippedGrey(bytes, decoding)
      : await rgb(bytes, decoding);
  },
  async tiff(bytes, decoding) {
    const { space, depth } = await opened(bytes).metadata();
    const { photometric, compression } = tiffTags(bytes);
    refuseOddTiff(photometric, compression, space, depth);
    const upright: Decoding = { ...decoding, exif: 'turn' };
    if (space === 'cmyk') return await cmyk(bytes, upright, depth === 'ushort' ? 8 : 0);
    return depth === 'ushort' && space === 'grey16' && decoding.grey16 === 'clip'
      ? await clippedGrey(bytes, upright)
      : await rgb(bytes, upright);
  },
  async gif(bytes, decoding) {
    const frame = firstGifFrame(bytes);
    if (!frame || decoding.alpha === 'white') return await rgb(bytes, decoding);
    return filledAround(await rgb(frame.bytes, decoding), frame);
  },
  webp: rgb,
  async avif(bytes, decoding) {
    const image = await rgb(bytes, decoding);
    return decoding.exif === 'turn' ? image : await unoriented(image, bytes);
  },
  bmp(bytes, { alpha }) {
    const image = readBmp(bytes);
    return Promise.resolve(alpha === 'white' ? overWhite(image) : image);
  },
  pnm: (bytes, { grey16 }) => Promise.resolve(readPnm(bytes, grey16)),
};

async function rgb(bytes: Uint8Array, decoding: Decoding): Promise<RawImage> {
  const image = oriented(opened(bytes), decoding);
  const opaque = decoding.alpha === 'white' ? image.flatten({ background: '#ffffff' }) : image.removeAlpha();
  const { data, info } = await opaque
    .toColourspace('srgb')
    .raw({ depth: 'uchar' })
    .toBuffer({ resolveWithObject: true });
  const pixels = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  return { width: info.width, height: info.height, data: info.channels === 3 ? pixels : widened(pixels) };
}

/**
 * Inks of 8 bits (or 16, of which the lower `shift` are dropped) on paper, without the press profile that sharp would
 * convert by: the share of white that black and colour leave.
 */
async function cmyk(bytes: Uint8Array, decoding: Decoding, shift = 0): Promise<RawImage> {
  const { data, info } = await oriented(opened(bytes), decoding)
    .pipelineColourspace('cmyk')
    .toColourspace('cmyk')
    .raw({ depth: shift > 0 ? 'ushort' : 'uchar' })
    .toBuffer({ resolveWithObject: true });
  const { width, height, channels } = info;
  const inks = shift > 0 ? words(data) : data;
  const out = new Uint8Array(width * height * 3);
  for (let from = 0, to = 0; to < out.length; from += channels) {
    const white = 255 - (inks[from + 3] >> shift);
    for (let c = 0; c < 3; c++) out[to++] = white - share(inks[from + c] >> shift, white);
  }
  return { width, height, data: out };
}

/** a · b / 255, rounded. */
function share(a: number, b: number): number {
  const product = a * b + 128;
  return ((product >> 8) + product) >> 8;
}

async function clippedGrey(bytes: Uint8Array, decoding: Decoding): Promise<RawImage> {
  const { data, info } = await oriented(opened(bytes), decoding)
    .pipelineColourspace('grey16')
    .removeAlpha()
    .toColourspace('grey16')
    .raw({ depth: 'ushort' })
    .toBuffer({ resolveWithObject: true });
  const grey = Uint8Array.from(words(data), level => Math.min(255, level));
  return { width: info.width, height: info.height, data: widened(grey) };
}

/** Numbers of 16 bits, which may begin anywhere in memory. */
const words = (data: Uint8Array): Uint16Array => new Uint16Array(new Uint8Array(data).buffer);

const JPEG_IN_TIFF = [6, 7];

/** Describes TIFFs that libvips would read differently from Pillow. */
function refuseOddTiff(photometric: number | undefined, compression: number | undefined, space = '', depth = ''): void {
  const kind =
    photometric === 6 && !JPEG_IN_TIFF.includes(compression ?? 0)
      ? 'YCbCr without JPEG compression'
      : photometric === 0 && depth === 'ushort'
        ? '16-bit grey with white as zero'
        : space === 'scrgb' || depth === 'char' || depth === 'short'
          ? `${space} numbers of type ${depth}`
          : undefined;
  if (kind) throw new UserError(`a TIFF of ${kind} is not supported; convert it to 8-bit RGB`);
}

/** Fills what the first frame of an animation leaves uncovered with one colour. */
function filledAround(
  image: RawImage,
  { left, top, width, height, rest }: NonNullable<ReturnType<typeof firstGifFrame>>,
) {
  for (let y = 0; y < image.height; y++) {
    const inside = y >= top && y < top + height;
    for (let x = 0; x < image.width; x++) {
      if (inside && x === left) x += width;
      if (x < image.width) image.data.set(rest, (y * image.width + x) * 3);
    }
  }
  return image;
}

/** libheif turns what it decodes; the mirror came last, so it goes first. */
async function unoriented({ width, height, data }: RawImage, bytes: Uint8Array): Promise<RawImage> {
  const { quarters, mirror } = avifTurn(bytes);
  if (quarters === 0 && !mirror) return { width, height, data };
  const mirrored = sharp(data, { raw: { width, height, channels: 3 } });
  const plain = mirror ? await mirrored[mirror]().raw().toBuffer() : data;
  const back = await sharp(plain, { raw: { width, height, channels: 3 } })
    .rotate(90 * quarters)
    .raw()
    .toBuffer({ resolveWithObject: true });
  return { width: back.info.width, height: back.info.height, data: new Uint8Array(back.data) };
}

function overWhite({ width, height, data, alpha }: LayeredImage): RawImage {
  if (!alpha) return { width, height, data };
  const out = data.map((level, i) => 255 - share(255 - level, alpha[Math.floor(i / 3)]));
  return { width, height, data: out };
}

function unreadable(name: string, error: unknown): UserError {
  const { code } = error as NodeJS.ErrnoException;
  const said = code === 'ENOENT' ? 'no such file, or a broken link' : messageOf(error).split('\n')[0];
  // libvips keeps the messages of all threads in one place, where another image's message may have replaced this one.
  const reason = said === 'Unknown error' ? 'damaged or truncated' : said;
  return new UserError(`${name}: cannot be read as an image: ${reason}`, undefined, { cause: error });
}

function widened(grey: Uint8Array): Uint8Array {
  const out = new Uint8Array(grey.length * 3);
  for (let i = 0; i < grey.length; i++) out.fill(grey[i], 3 * i, 3 * i + 3);
  return out;
}
