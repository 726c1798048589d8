import { UserError } from '../base/index.js';
import type { RawImage } from './images.js';
import type { Decoding } from './options.js';

/*
 * Netpbm's bitmaps, greymaps and pixmaps (P1 … P6), which the prebuilt sharp does not read. Packages for them leave the
 * scaling of other ranges than 0 … 255 to their callers, and it is the scaling that must be Pillow's.
 */

interface PnmHeader {
  kind: number;
  width: number;
  height: number;
  largest: number;
  /** Where the header ends; one byte later the samples begin. */
  end: number;
}

/** Width and height from the header. */
export function pnmSize(bytes: Uint8Array): { width: number; height: number } {
  const { width, height } = headerOf(bytes);
  return { width, height };
}

/**
 * Decodes PBM, PGM and PPM, in text or binary; samples are scaled to 0 … 255. Greymaps above 8 bits are scaled to 16
 * and clipped at 255, as Pillow has it; `scale` takes their upper eight bits instead.
 * @throws UserError where samples are missing or above the largest value that the header names.
 */
export function readPnm(bytes: Uint8Array, grey16: Decoding['grey16']): RawImage {
  const header = headerOf(bytes);
  const { kind, width, height, largest } = header;
  const channels = kind % 3 === 0 ? 3 : 1;
  const samples = samplesOf(bytes, header, width * height * channels);
  const deep = channels === 1 && largest > 255;
  const levels = Uint8Array.from({ length: largest + 1 }, (_, sample) => {
    const scaled = halfToEven((sample / largest) * (deep ? 65535 : 255));
    return deep && grey16 === 'scale' ? scaled >> 8 : Math.min(255, scaled);
  });
  const data = new Uint8Array(width * height * 3);
  for (let i = 0; i < data.length; i++) {
    const sample = samples[channels === 3 ? i : Math.floor(i / 3)];
    data[i] = levels[Math.min(sample, largest)];
  }
  return { width, height, data };
}

/** The next number after white space and comments, which run from # to the end of their line. */
const NUMBER = /(?:[\s\0]|#[^\r\n]*)*(\d+)/y;
/** In text, bits may stand without spaces between them. */
const BIT = /(?:[\s\0]|#[^\r\n]*)*([01])/y;
const LONGEST_HEADER = 1 << 16;

const textOf = (bytes: Uint8Array): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1');

function numberAt(text: string, pattern: RegExp, at: number): { value: number; end: number } | undefined {
  pattern.lastIndex = at;
  const found = pattern.exec(text);
  return found ? { value: Number(found[1]), end: pattern.lastIndex } : undefined;
}

function headerOf(bytes: Uint8Array): PnmHeader {
  const text = textOf(bytes.subarray(0, LONGEST_HEADER));
  const kind = bytes[1] - 48;
  let end = 2;
  const number = (most: number): number => {
    const found = numberAt(text, NUMBER, end);
    if (!found || found.value < 1 || found.value > most) throw new UserError('has no valid header');
    end = found.end;
    return found.value;
  };
  const [width, height] = [number(2 ** 24), number(2 ** 24)];
  const largest = kind === 1 || kind === 4 ? 1 : number(65535);
  return { kind, width, height, largest, end };
}

/** All samples, 0 … largest. */
function samplesOf(bytes: Uint8Array, header: PnmHeader, count: number): Uint8Array | Uint16Array {
  if (header.kind <= 3) return textSamples(textOf(bytes), header, count);
  const { kind, width, height, largest, end } = header;
  const stride = Math.ceil(width / 8);
  const size = kind === 4 ? stride * height : largest > 255 ? 2 * count : count;
  const body = bytes.subarray(end + 1, end + 1 + size);
  if (body.length < size)
    throw new UserError(`is truncated: ${size} bytes of samples are expected, ${body.length} follow`);
  if (kind === 4)
    return Uint8Array.from({ length: count }, (_, i) => {
      const [x, row] = [i % width, stride * Math.floor(i / width)];
      // A bit that is set is black.
      return 1 - ((body[row + (x >> 3)] >> (7 - (x & 7))) & 1);
    });
  return largest > 255 ? Uint16Array.from({ length: count }, (_, i) => body[2 * i] * 256 + body[2 * i + 1]) : body;
}

function textSamples(text: string, { kind, largest, end }: PnmHeader, count: number): Uint16Array {
  const samples = new Uint16Array(count);
  let at = end;
  for (let i = 0; i < count; i++) {
    const found = numberAt(text, kind === 1 ? BIT : NUMBER, at);
    if (!found) throw new UserError(`is truncated or damaged: ${count} samples are expected, ${i} follow`);
    if (found.value > largest) throw new UserError(`has a sample of ${found.value}, above its maximum ${largest}`);
    samples[i] = kind === 1 ? 1 - found.value : found.value;
    at = found.end;
  }
  return samples;
}

/** Python's round. */
function halfToEven(x: number): number {
  const floor = Math.floor(x);
  const rest = x - floor;
  return rest > 0.5 || (rest === 0.5 && floor % 2 === 1) ? floor + 1 : floor;
}
