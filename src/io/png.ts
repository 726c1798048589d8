import { openBytes } from './bytes.js';

const START = Buffer.from('89504e470d0a1a0a', 'hex');
/** The empty chunk IEND with its checksum. */
const END = Buffer.from('0000000049454e44ae426082', 'hex');

/** Whether a file begins and ends as a PNG does, which one that was cut off does not. */
export async function isWholePng(path: string): Promise<boolean> {
  const file = await openBytes(path);
  try {
    if (file.size < START.length + END.length) return false;
    const start = await file.read(0, START.length);
    const end = await file.read(file.size - END.length, END.length);
    return START.equals(start) && END.equals(end);
  } finally {
    await file.close();
  }
}
