import { UserError } from '../base/index.js';
import { openBytes, type ByteSource } from './bytes.js';

/** A regular file inside an uncompressed tar: where its bytes lie. */
export interface TarMember {
  name: string;
  offset: number;
  size: number;
}

/** An indexed tar whose members can be read in any order. */
export interface TarFile {
  readonly members: readonly TarMember[];
  read(member: TarMember): Promise<Uint8Array<ArrayBuffer>>;
  close(): Promise<void>;
}

const BLOCK = 512;
const text = (bytes: Uint8Array, start: number, length: number): string =>
  Buffer.from(bytes.subarray(start, start + length))
    .toString('utf8')
    .replace(/\0.*$/s, '');

/**
 * Opens a tar (POSIX ustar and pax, GNU long names and sizes) and reads its headers, stepping over the contents.
 * @throws UserError for a compressed, damaged or truncated archive.
 */
export async function openTar(path: string): Promise<TarFile> {
  const source = await openBytes(path);
  try {
    const members: TarMember[] = [];
    let extended: Extended = {};
    await refuseOther(path, source);
    for (let at = 0; at + BLOCK <= source.size;) {
      const header = await source.read(at, BLOCK);
      if (header.every(byte => byte === 0)) break;
      checkHeader(path, header, at);
      const type = String.fromCharCode(header[156] || 0x30);
      const size = (type !== 'x' && extended.size) || numberAt(header, 124, 12);
      const offset = at + BLOCK;
      at = offset + Math.ceil(size / BLOCK) * BLOCK;
      if (type === 'x' || type === 'L') {
        const content = await source.read(offset, size);
        extended = { ...extended, ...(type === 'x' ? paxRecords(content) : { name: text(content, 0, size) }) };
        continue;
      }
      if (type === '0' || type === '7') {
        if (offset + size > source.size) throw truncated(path);
        members.push({ name: extended.name ?? nameOf(header), offset, size });
      }
      if (type !== 'g') extended = {};
    }
    return {
      members,
      read: ({ offset, size }) => source.read(offset, size),
      close: () => source.close(),
    };
  } catch (error) {
    await source.close();
    throw error;
  }
}

/** What a record before a header says about the file after it. */
interface Extended {
  name?: string;
  size?: number;
}

/** Recognises files of other kinds, for a clear message. */
async function refuseOther(path: string, source: ByteSource): Promise<void> {
  const start = await source.read(0, Math.min(2, source.size));
  if (start[0] === 0x1f && start[1] === 0x8b)
    throw new UserError(`${path}: is a compressed tar; gunzip it once, so that images can be read in any order`);
  if (source.size < BLOCK) throw new UserError(`${path}: is not a tar (only ${source.size} bytes)`);
}

function nameOf(header: Uint8Array): string {
  const prefix = text(header, 257, 5) === 'ustar' && header[262] === 0 ? text(header, 345, 155) : '';
  return prefix === '' ? text(header, 0, 100) : `${prefix}/${text(header, 0, 100)}`;
}

/** An octal number or, with the top bit set, GNU's big-endian binary one. */
function numberAt(header: Uint8Array, start: number, length: number): number {
  if ((header[start] & 0x80) === 0) return Number.parseInt(text(header, start, length).trim() || '0', 8);
  return header.subarray(start + 1, start + length).reduce((value, byte) => value * 256 + byte, header[start] & 0x7f);
}

/** The checksum counts its own eight bytes as spaces. */
function checkHeader(path: string, header: Uint8Array, at: number): void {
  let sum = 0;
  for (let i = 0; i < BLOCK; i++) sum += i >= 148 && i < 156 ? 32 : header[i];
  const size = numberAt(header, 124, 12);
  if (sum === numberAt(header, 148, 8) && Number.isSafeInteger(size) && size >= 0) return;
  throw new UserError(`${path}: is not a tar or is damaged (no valid header at byte ${at})`);
}

function truncated(path: string): UserError {
  return new UserError(`${path}: is truncated: its last member ends after the file does`);
}

/** pax records: `<length> <key>=<value>\n`, the length counting the whole record. */
function paxRecords(content: Uint8Array): Extended {
  const found: Extended = {};
  for (let at = 0; at < content.length;) {
    const space = content.indexOf(32, at);
    const length = Number.parseInt(text(content, at, space - at), 10);
    if (space < 0 || !(length > 0)) break;
    const [key, ...value] = text(content, space + 1, at + length - space - 2).split('=');
    if (key === 'path') found.name = value.join('=');
    if (key === 'size') found.size = Number(value.join('='));
    at += length;
  }
  return found;
}
