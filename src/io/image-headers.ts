/* What an image's own bytes say that decides how it is decoded, as far as sharp does not tell it. */

export type ImageFormat = 'jpeg' | 'png' | 'gif' | 'tiff' | 'webp' | 'avif' | 'bmp' | 'pnm';

const MAGIC: readonly [format: ImageFormat, pattern: RegExp][] = [
  ['jpeg', /^\xff\xd8\xff/],
  ['png', /^\x89PNG\r\n/],
  ['gif', /^GIF8[79]a/],
  ['tiff', /^(II[*+]\0|MM\0[*+])/],
  ['webp', /^RIFF[^]{4}WEBP/],
  ['avif', /^[^]{4}ftyp/],
  ['bmp', /^BM/],
  ['pnm', /^P[1-6][\s\0#]/],
];

/** By its first bytes, whatever it is called; undefined: none that is read. */
export function imageFormat(bytes: Uint8Array): ImageFormat | undefined {
  const start = Buffer.from(bytes.buffer, bytes.byteOffset, Math.min(16, bytes.length)).toString('latin1');
  return MAGIC.find(([, pattern]) => pattern.test(start))?.[0];
}

const viewOf = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

/** Colour channels of a JPEG, from its start of frame; 0 where it has none. */
export function jpegChannels(bytes: Uint8Array): number {
  const view = viewOf(bytes);
  for (let at = 2; at + 10 <= bytes.length;) {
    const marker = bytes[at + 1];
    if (bytes[at] !== 0xff || marker === 0xda) return 0;
    const isFrame = marker >= 0xc0 && marker <= 0xcf && marker !== 0xc4 && marker !== 0xc8 && marker !== 0xcc;
    if (isFrame) return bytes[at + 9];
    // Fill bytes before a marker, and markers that stand alone, have no length.
    at += marker === 0xff ? 1 : marker === 0x01 || (marker >= 0xd0 && marker <= 0xd8) ? 2 : 2 + view.getUint16(at + 2);
  }
  return 0;
}

/** Whether a PNG holds 16-bit grey without an alpha channel. */
export const isPngGrey16 = (bytes: Uint8Array): boolean => bytes[24] === 16 && bytes[25] === 0;

export interface TiffTags {
  photometric: number | undefined;
  compression: number | undefined;
}

/** Of the first image of a TIFF; nothing of a BigTIFF, whose directory is laid out otherwise. */
export function tiffTags(bytes: Uint8Array): TiffTags {
  const view = viewOf(bytes);
  const little = bytes[0] === 0x49;
  const found = new Map<number, number>();
  const start = bytes.length >= 8 && view.getUint16(2, little) === 42 ? view.getUint32(4, little) : bytes.length;
  const count = start + 2 <= bytes.length ? view.getUint16(start, little) : 0;
  for (let at = start + 2; at + 12 <= Math.min(bytes.length, start + 2 + 12 * count); at += 12)
    found.set(view.getUint16(at, little), view.getUint16(at + 8, little));
  return { photometric: found.get(262), compression: found.get(259) };
}

/** How an AVIF is to be shown: quarter turns anticlockwise, then a mirror. */
export interface AvifTurn {
  quarters: number;
  mirror: 'flip' | 'flop' | undefined;
}

/** Of the boxes `irot` and `imir` among the properties of the image (ISO/IEC 23008-12, 6.5.10 and 6.5.12). */
export function avifTurn(bytes: Uint8Array): AvifTurn {
  const properties = boxAt(bytes, ['meta', 'iprp', 'ipco']);
  const rotation = properties && boxAt(properties, ['irot']);
  const mirror = properties && boxAt(properties, ['imir']);
  return { quarters: rotation ? rotation[0] & 3 : 0, mirror: mirror && ((mirror[0] & 1) === 1 ? 'flop' : 'flip') };
}

/** The content of a box within boxes. `meta` has four bytes of version and flags before its own boxes. */
function boxAt(bytes: Uint8Array, [name, ...rest]: string[]): Uint8Array | undefined {
  const view = viewOf(bytes);
  for (let at = 0; at + 8 <= bytes.length;) {
    const size = view.getUint32(at) || bytes.length - at;
    const type = Buffer.from(bytes.buffer, bytes.byteOffset + at + 4, 4).toString('latin1');
    if (size < 8) return undefined;
    if (type === name) {
      const content = bytes.subarray(at + (type === 'meta' ? 12 : 8), at + size);
      return rest.length === 0 ? content : boxAt(content, rest);
    }
    at += size;
  }
  return undefined;
}

export interface GifFrame {
  /** The file with the first image's transparent colour shown like any other. */
  bytes: Uint8Array;
  left: number;
  top: number;
  width: number;
  height: number;
  /** Red, green, blue of what the first image leaves free: its transparent colour, else colour 0. */
  rest: Uint8Array;
}

/** The first image of a GIF; undefined where the file is damaged before it. */
export function firstGifFrame(bytes: Uint8Array): GifFrame | undefined {
  const view = viewOf(bytes);
  const copy = bytes.slice();
  const paletteBytes = (packed: number): number => (packed & 0x80 ? 3 * 2 ** ((packed & 7) + 1) : 0);
  let at = 13 + paletteBytes(bytes[10]);
  let free = 0;
  while (at + 10 <= bytes.length) {
    if (bytes[at] === 0x2c) {
      const own = paletteBytes(bytes[at + 9]) > 0;
      const colour = (own ? at + 10 : 13) + 3 * free;
      const [left, top, width, height] = [1, 3, 5, 7].map(field => view.getUint16(at + field, true));
      return { bytes: copy, left, top, width, height, rest: bytes.slice(colour, colour + 3) };
    }
    if (bytes[at] !== 0x21) return undefined;
    if (bytes[at + 1] === 0xf9 && (bytes[at + 3] & 1) === 1) {
      free = bytes[at + 6];
      copy[at + 3] &= 0xfe;
    }
    for (at += 2; at < bytes.length && bytes[at] !== 0; at += 1 + bytes[at]);
    at++;
  }
  return undefined;
}
