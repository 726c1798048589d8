import { UserError } from '../base/index.js';
import type { RawImage } from './images.js';

/*
 * Windows and OS/2 bitmaps, as Pillow reads them. sharp has no reader for them, and of the packages that have one none
 * is right for all: palettes of bmp-ts, 5-bit channels, run lengths and OS/2 headers of all of them differ from Pillow.
 */

/** An image and, where its file has one, its alpha channel [height · width]. */
export interface LayeredImage extends RawImage {
  alpha?: Uint8Array | undefined;
}

interface BmpHeader {
  width: number;
  height: number;
  topDown: boolean;
  bits: number;
  compression: number;
  /** Of red, green, blue, alpha, where the file names them. */
  masks: number[];
  /** Blue, green, red of each colour, `paletteStep` bytes apart. */
  palette: Uint8Array;
  paletteStep: number;
  pixels: Uint8Array;
}

const RAW = 0;
const RLE8 = 1;
const RLE4 = 2;
const BITFIELDS = 3;
const OS2_HEADER = 12;
const WINDOWS_HEADER = 40;
/** From this header on the fourth mask, alpha's, is in the header. */
const HEADER_WITH_ALPHA = 56;
/** What 16 and 32 bits mean where no masks are given. */
const USUAL_MASKS: Record<number, number[]> = { 16: [0x7c00, 0x3e0, 0x1f], 32: [0xff0000, 0xff00, 0xff] };

/** Width and height from the header. */
export function bmpSize(bytes: Uint8Array): { width: number; height: number } {
  const { width, height } = headerOf(bytes);
  return { width, height };
}

/** Decodes 1, 4, 8, 16, 24 and 32 bits per pixel, run lengths and bit masks. @throws UserError where it is cut short. */
export function readBmp(bytes: Uint8Array): LayeredImage {
  const header = headerOf(bytes);
  if (header.bits <= 8) return coloured(header, indicesOf(header));
  if (header.bits === 24) return { ...sizeOf(header), data: threeBytes(header) };
  return masked(header);
}

const sizeOf = ({ width, height }: BmpHeader): { width: number; height: number } => ({ width, height });

function headerOf(bytes: Uint8Array): BmpHeader {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < 26) throw new UserError('is truncated within its header');
  const size = view.getUint32(14, true);
  const old = size === OS2_HEADER;
  if (!old && (size < WINDOWS_HEADER || bytes.length < 14 + size)) throw new UserError('has no known header');
  const [width, high] = old
    ? [view.getUint16(18, true), view.getUint16(20, true)]
    : [view.getInt32(18, true), view.getInt32(22, true)];
  const bits = view.getUint16(old ? 24 : 28, true);
  const compression = old ? RAW : view.getUint32(30, true);
  const named = (old ? 0 : view.getUint32(46, true)) || 2 ** bits;
  if (![1, 4, 8, 16, 24, 32].includes(bits) || width <= 0 || high === 0 || compression > BITFIELDS)
    throw new UserError(`is an unsupported kind of bitmap (${bits} bits, compression ${compression})`);
  const maskCount = compression !== BITFIELDS ? 0 : size >= HEADER_WITH_ALPHA ? 4 : 3;
  const masks = Array.from({ length: maskCount }, (_, i) => view.getUint32(54 + 4 * i, true));
  const paletteStep = old ? 3 : 4;
  const paletteStart = 14 + size + (size === WINDOWS_HEADER ? 4 * maskCount : 0);
  return {
    width,
    height: Math.abs(high),
    topDown: high < 0,
    bits,
    compression,
    masks,
    palette: bits <= 8 ? bytes.subarray(paletteStart, paletteStart + paletteStep * named) : new Uint8Array(),
    paletteStep,
    pixels: bytes.subarray(view.getUint32(10, true)),
  };
}

/** Bytes of a row, which ends on a multiple of four. */
const strideOf = ({ width, bits }: BmpHeader): number => Math.ceil((width * bits) / 32) * 4;

/** Where each row of the image, from the top on, begins in the file. @throws UserError where the file ends before. */
function rowStarts(header: BmpHeader): number[] {
  const { height, topDown, pixels } = header;
  const stride = strideOf(header);
  if (pixels.length < stride * (height - 1) + Math.ceil((header.width * header.bits) / 8))
    throw new UserError('is truncated: rows are missing');
  return Array.from({ length: height }, (_, y) => stride * (topDown ? y : height - 1 - y));
}

function indicesOf(header: BmpHeader): Uint8Array {
  const { width, height, bits, compression, pixels, topDown } = header;
  if (compression === RLE8 || compression === RLE4) return upright(runLengths(header), width, height, topDown);
  const indices = new Uint8Array(width * height);
  const perByte = 8 / bits;
  rowStarts(header).forEach((start, y) => {
    for (let x = 0; x < width; x++) {
      const shift = 8 - bits * (1 + (x % perByte));
      indices[y * width + x] = (pixels[start + Math.floor(x / perByte)] >> shift) & (2 ** bits - 1);
    }
  });
  return indices;
}

/** Runs of one (or with 4 bits of two alternating) colours, literal stretches, ends of lines and jumps. */
function runLengths({ width, height, compression, pixels }: BmpHeader): Uint8Array {
  const out = new Uint8Array(width * height);
  const nibbles = compression === RLE4;
  const colour = (start: number, i: number): number =>
    nibbles ? (pixels[start + (i >> 1)] >> (i % 2 === 0 ? 4 : 0)) & 15 : pixels[start + i];
  let to = 0;
  for (let at = 0; at + 1 < pixels.length && to < out.length;) {
    const [count, value] = [pixels[at], pixels[at + 1]];
    at += 2;
    if (count > 0) {
      const room = width - (to % width);
      for (let i = 0; i < Math.min(count, room); i++) out[to++] = colour(at - 1, nibbles ? i % 2 : 0);
    } else if (value === 0) {
      to = Math.ceil(to / width) * width;
    } else if (value === 1) {
      return out;
    } else if (value === 2) {
      to += pixels[at] + width * pixels[at + 1];
      at += 2;
    } else {
      const stored = nibbles ? (value + 1) >> 1 : value;
      if (at + stored > pixels.length) break;
      for (let i = 0; i < value && to < out.length; i++) out[to++] = colour(at, i);
      at += stored + (stored % 2);
    }
  }
  if (to < out.length) throw new UserError('is truncated: runs are missing');
  return out;
}

function upright(rows: Uint8Array, width: number, height: number, topDown: boolean): Uint8Array {
  if (topDown) return rows;
  const out = new Uint8Array(rows.length);
  for (let y = 0; y < height; y++) out.set(rows.subarray(y * width, (y + 1) * width), (height - 1 - y) * width);
  return out;
}

/** Looks each index up; one beyond the palette is black. */
function coloured(header: BmpHeader, indices: Uint8Array): RawImage {
  const { palette, paletteStep } = header;
  const data = new Uint8Array(indices.length * 3);
  for (let i = 0; i < indices.length; i++) {
    for (let c = 0; c < 3; c++) data[3 * i + c] = palette[indices[i] * paletteStep + 2 - c];
  }
  return { ...sizeOf(header), data };
}

function threeBytes(header: BmpHeader): Uint8Array {
  const { width, height, pixels } = header;
  const data = new Uint8Array(width * height * 3);
  rowStarts(header).forEach((start, y) => {
    for (let x = 0, to = y * width * 3; x < width; x++, start += 3) {
      data[to++] = pixels[start + 2];
      data[to++] = pixels[start + 1];
      data[to++] = pixels[start];
    }
  });
  return data;
}

/** Channels cut out of 16 or 32 bits, each brought to 0 … 255 and rounded down. */
function masked(header: BmpHeader): LayeredImage {
  const { width, height, bits, pixels, masks } = header;
  const [, , , alphaMask = 0] = masks;
  const channels = (masks.length > 0 ? masks.slice(0, 3) : USUAL_MASKS[bits]).map(cut);
  const alphaOf = cut(alphaMask);
  const data = new Uint8Array(width * height * 3);
  const alpha = alphaMask === 0 ? undefined : new Uint8Array(width * height);
  const view = new DataView(pixels.buffer, pixels.byteOffset, pixels.byteLength);
  rowStarts(header).forEach((start, y) => {
    for (let x = 0; x < width; x++) {
      const place = y * width + x;
      const pixel = bits === 16 ? view.getUint16(start + 2 * x, true) : view.getUint32(start + 4 * x, true);
      for (let c = 0; c < 3; c++) data[3 * place + c] = channels[c](pixel);
      if (alpha) alpha[place] = alphaOf(pixel);
    }
  });
  return { ...sizeOf(header), data, alpha };
}

function cut(mask: number): (pixel: number) => number {
  if (mask === 0) return () => 0;
  const shift = 31 - Math.clz32(mask & -mask);
  const largest = mask >>> shift;
  return pixel => Math.floor((((pixel & mask) >>> shift) * 255) / largest);
}
