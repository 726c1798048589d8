import * as zlib from 'node:zlib';
import { promisify } from 'node:util';
import yauzl, { type Entry, type ZipFile } from 'yauzl';
import { messageOf, UserError } from '../base/index.js';
import { memoryBytes, openBytes, partOf, type ByteSource } from './bytes.js';
import { zipReader } from './zip-reader.js';

/** A .zip archive (also .npz and .pt): members by name, read at any place. Zip64 included. */
export interface ZipArchive {
  readonly name: string;
  /** Every file in the archive with its size once unpacked, in the archive's order. */
  members: Map<string, number>;
  /** A member as a source: a stored one is read in place, a deflated one is unpacked into memory. */
  open(member: string): Promise<ByteSource>;
  /** A whole member, its checksum verified. */
  read(member: string): Promise<Uint8Array>;
  close(): Promise<void>;
}

const STORED = 0;
const DEFLATED = 8;
/** Deflate cannot shrink further than this; a member that claims more is crafted to fill the memory. */
const LARGEST_RATIO = 1032;
const inflate = promisify<Uint8Array, zlib.ZlibOptions, Buffer>(zlib.inflateRaw);

/** Opens an archive and reads its directory. */
export async function openZip(path: string | ByteSource): Promise<ZipArchive> {
  const source = typeof path === 'string' ? await openBytes(path) : path;
  try {
    return await archiveOver(source);
  } catch (error) {
    await source.close();
    throw damaged(source.name, error);
  }
}

const damaged = (name: string, error: unknown): unknown =>
  error instanceof UserError ? error : new UserError(`${name}: is damaged or no zip archive: ${messageOf(error)}`);

async function archiveOver(source: ByteSource): Promise<ZipArchive> {
  const zip = await yauzl.fromRandomAccessReaderPromise(zipReader(source), source.size, {
    lazyEntries: true,
    autoClose: false,
  });
  const entries = new Map<string, Entry>();
  for await (const entry of zip.eachEntry()) if (!entry.fileName.endsWith('/')) entries.set(entry.fileName, entry);
  const find = (member: string): Entry => {
    const entry = entries.get(member);
    if (!entry) throw new UserError(`${source.name}: holds no member ${member}`);
    return entry;
  };
  return {
    name: source.name,
    members: new Map([...entries].map(([name, entry]) => [name, entry.uncompressedSize])),
    open: async member => await openMember(source, zip, find(member)),
    read: async member => await readMember(source, zip, find(member)),
    close: () => source.close(),
  };
}

async function openMember(source: ByteSource, zip: ZipFile, entry: Entry): Promise<ByteSource> {
  const name = `${source.name}:${entry.fileName}`;
  const packed = await packedBytes(source, zip, entry);
  if (entry.compressionMethod === STORED) return packed;
  return memoryBytes(name, await unpack(name, entry, await packed.read(0, packed.size)));
}

async function readMember(source: ByteSource, zip: ZipFile, entry: Entry): Promise<Uint8Array> {
  const name = `${source.name}:${entry.fileName}`;
  const packed = await packedBytes(source, zip, entry);
  const bytes = await packed.read(0, packed.size);
  const whole = entry.compressionMethod === STORED ? bytes : await unpack(name, entry, bytes);
  // Node has had crc32 since 20.15.
  if ('crc32' in zlib && zlib.crc32(whole) !== entry.crc32)
    throw new UserError(`${name}: its checksum does not match; the file is damaged, download or make it again`);
  return whole;
}

/** A member's bytes as they lie in the archive. */
async function packedBytes(source: ByteSource, zip: ZipFile, entry: Entry): Promise<ByteSource> {
  const name = `${source.name}:${entry.fileName}`;
  if (entry.isEncrypted()) throw new UserError(`${name}: is encrypted; save the archive without a password`);
  if (entry.compressionMethod !== STORED && entry.compressionMethod !== DEFLATED)
    throw new UserError(`${name}: compression method ${entry.compressionMethod} cannot be read; store or deflate it`);
  if (entry.compressionMethod === STORED && entry.compressedSize !== entry.uncompressedSize)
    throw new UserError(`${name}: is stored with two different lengths; the archive is damaged`);
  try {
    const { fileDataStart } = await zip.readLocalFileHeaderPromise(entry, { minimal: true });
    return partOf(source, name, fileDataStart, entry.compressedSize);
  } catch (error) {
    throw damaged(name, error);
  }
}

async function unpack(name: string, entry: Entry, bytes: Uint8Array): Promise<Uint8Array> {
  const { uncompressedSize: size } = entry;
  if (size > (bytes.length + 64) * LARGEST_RATIO)
    throw new UserError(`${name}: claims ${size} bytes out of ${bytes.length}, which no deflated file gives`);
  const whole = await inflate(bytes, { maxOutputLength: Math.max(1, size) }).catch((error: unknown) => {
    throw new UserError(`${name}: cannot be unpacked: ${messageOf(error)}`);
  });
  if (whole.length !== size) throw new UserError(`${name}: unpacks to ${whole.length} bytes instead of ${size}`);
  return whole;
}
