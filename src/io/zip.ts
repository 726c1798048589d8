import { crc32 } from 'node:zlib';
import yauzl, { type Entry, type ZipFile } from 'yauzl';
import { messageOf, UserError } from '../base/index.js';
import { openBytes, partOf, type ByteSource } from './bytes.js';
import { checkSum, inflatedBytes } from './inflate.js';
import { zipReader } from './zip-reader.js';

/** A .zip archive (also .npz and .pt): members by name, read at any place. Zip64 included. */
export interface ZipArchive {
  readonly name: string;
  /** Every file in the archive with its size once unpacked, in the archive's order. */
  members: Map<string, number>;
  /** A member as a source: a stored one is read in place, a deflated one is unpacked as far as it is read. */
  open(member: string): Promise<ByteSource>;
  /** A whole member, its checksum verified. */
  read(member: string): Promise<Uint8Array>;
  close(): Promise<void>;
}

const STORED = 0;
const DEFLATED = 8;

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
  error instanceof UserError ? error : new UserError(`${name}: is damaged or not a zip archive: ${messageOf(error)}`);

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
  const packed = await packedBytes(source, zip, entry);
  if (entry.compressionMethod === STORED) return packed;
  return inflatedBytes(packed.name, packed, { size: entry.uncompressedSize, crc32: entry.crc32 });
}

async function readMember(source: ByteSource, zip: ZipFile, entry: Entry): Promise<Uint8Array> {
  const member = await openMember(source, zip, entry);
  const whole = await member.read(0, member.size).finally(() => member.close());
  // A deflated one has been checked as it was unpacked.
  if (entry.compressionMethod === STORED) checkSum(member.name, crc32(whole), entry.crc32);
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
