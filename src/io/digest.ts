import { createHash } from 'node:crypto';
import { openBytes, type ByteSource } from './bytes.js';

const BLOCK = 4 << 20;

/** SHA-256 of a file's bytes, in hexadecimal. */
export async function sha256OfFile(path: string): Promise<string> {
  const source = await openBytes(path);
  try {
    return await sha256Of(source);
  } finally {
    await source.close();
  }
}

/** SHA-256 of any source. */
export async function sha256Of(source: ByteSource): Promise<string> {
  const hash = createHash('sha256');
  for (let at = 0; at < source.size; at += BLOCK) hash.update(await source.read(at, Math.min(BLOCK, source.size - at)));
  return hash.digest('hex');
}

/** SHA-256 of text. */
export const sha256OfText = (text: string): string => createHash('sha256').update(text, 'utf8').digest('hex');

/** One digest of several named ones, whatever order they come in. */
export function combinedDigest(parts: Record<string, string>): string {
  const names = Object.keys(parts).sort();
  return sha256OfText(names.map(name => `${JSON.stringify(name)} ${parts[name]}\n`).join(''));
}
