import { UserError } from '../base/index.js';
import { elementCount, type NdArray } from './array.js';
import { openBytes, type ByteSource } from './bytes.js';
import { checkSize, readNpyPreamble, type NpyPreamble } from './npy-header.js';
import { openNpy, type NpyFile } from './npy.js';

/** An array of text, in C order where it has at most one axis longer than 1. */
export interface TextArray {
  shape: number[];
  text: string[];
}

/**
 * An array of numbers or of text, by what its header says. NumPy's text has a fixed width: `U`, four bytes a character,
 * and `S`, bytes that are read as UTF-8. @throws UserError for objects, whose remedy is `.astype(str)`.
 */
export async function readValues(source: ByteSource): Promise<NdArray | TextArray> {
  const preamble = await readNpyPreamble(source);
  if (/^[<>|=][US]\d+$/.test(preamble.descr)) return await readText(source, preamble);
  if (/^\|[OT]/.test(preamble.descr))
    throw new UserError(
      `${source.name}: holds Python objects, which are never unpickled; save text with .astype(str), numbers as an integer type`,
    );
  const file: NpyFile = await openNpy(source);
  return await file.read();
}

/** The numbers or text of a .npy file. */
export async function readNpyValues(path: string): Promise<NdArray | TextArray> {
  const source = await openBytes(path);
  return await readValues(source).finally(() => source.close());
}

async function readText(source: ByteSource, preamble: NpyPreamble): Promise<TextArray> {
  const { shape, descr, dataOffset } = preamble;
  const isUnicode = descr[1] === 'U';
  const itemBytes = Number(descr.slice(2)) * (isUnicode ? 4 : 1);
  checkSize(source, preamble, descr, itemBytes);
  const bytes = Buffer.from(await source.read(dataOffset, elementCount(shape) * itemBytes));
  if (isUnicode && descr.startsWith('>')) bytes.swap32();
  const text = Array.from({ length: elementCount(shape) }, (_, i) => {
    const item = bytes.subarray(i * itemBytes, (i + 1) * itemBytes);
    // The width is that of the longest; shorter ones are filled up with zeros.
    return (isUnicode ? fromUtf32(item) : item.toString('utf8')).replace(/\0+$/, '');
  });
  return { shape, text };
}

const LAST_CODE_POINT = 0x10ffff;

function fromUtf32(bytes: Buffer): string {
  let text = '';
  for (let at = 0; at < bytes.length; at += 4) {
    const code = bytes.readUInt32LE(at);
    text += String.fromCodePoint(code <= LAST_CODE_POINT ? code : 0xfffd);
  }
  return text;
}
