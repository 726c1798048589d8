import { createHash } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { text } from 'node:stream/consumers';
import { openPromise, type Entry, type ZipFile } from 'yauzl';
import { messageOf } from '../../base/index.js';

/** A Python wheel: a zip whose dist-info holds its METADATA and, in RECORD, a digest of every file. */
export interface Wheel {
  name: string;
  version: string;
  /** Requirements as METADATA states them. */
  requires: string[];
  /** Unpacks the files that `keep` accepts, checking each against RECORD; returns what was written. */
  unpack(folder: string, keep: (path: string) => boolean, signal?: AbortSignal): Promise<UnpackedFile[]>;
}

export interface UnpackedFile {
  path: string;
  bytes: number;
  sha256: string;
}

export async function openWheel(path: string): Promise<Wheel> {
  const { metadata, record } = await readInfo(path);
  const field = (name: string): string[] =>
    metadata
      .split(/\r?\n/)
      .filter(line => line.startsWith(`${name}: `))
      .map(line => line.slice(name.length + 2).trim());
  const digests = parseRecord(record);
  return {
    name: field('Name')[0],
    version: field('Version')[0],
    requires: field('Requires-Dist'),
    unpack: (folder, keep, signal) => unpack(path, folder, keep, digests, signal),
  };
}

async function readInfo(path: string): Promise<{ metadata: string; record: string }> {
  const found = { metadata: '', record: '' };
  await eachFile(path, async (zip, entry) => {
    const kind = /^[^/]+\.dist-info\/(METADATA|RECORD)$/.exec(entry.fileName)?.[1];
    if (kind === 'METADATA') found.metadata = await text(await zip.openReadStreamPromise(entry));
    if (kind === 'RECORD') found.record = await text(await zip.openReadStreamPromise(entry));
  });
  if (!found.metadata || !found.record) throw new Error(`${path}: not a Python wheel (no METADATA or RECORD in it)`);
  return found;
}

async function unpack(
  path: string,
  folder: string,
  keep: (path: string) => boolean,
  digests: Map<string, string>,
  signal: AbortSignal | undefined,
): Promise<UnpackedFile[]> {
  const written: UnpackedFile[] = [];
  await eachFile(path, async (zip, entry) => {
    if (!keep(entry.fileName)) return;
    signal?.throwIfAborted();
    const target = join(folder, entry.fileName);
    await mkdir(dirname(target), { recursive: true });
    const hash = createHash('sha256');
    const measured = new Transform({
      transform: (chunk: Buffer, _encoding, done) => {
        hash.update(chunk);
        done(null, chunk);
      },
    });
    await pipeline(
      await zip.openReadStreamPromise(entry),
      measured,
      createWriteStream(target, { mode: modeOf(entry) }),
      { signal },
    );
    const digest = hash.digest();
    if (digests.get(entry.fileName) !== digest.toString('base64url'))
      throw new Error(`${entry.fileName} does not match its digest in the wheel's RECORD: the download is damaged`);
    written.push({ path: entry.fileName, bytes: entry.uncompressedSize, sha256: digest.toString('hex') });
  });
  return written;
}

/** A program keeps its executable bit: CUDA's assembler is run by TensorFlow. */
const modeOf = ({ externalFileAttributes }: Entry): number => ((externalFileAttributes >>> 16) & 0o100 ? 0o755 : 0o644);

/** yauzl itself refuses absolute names and `..` in them. */
async function eachFile(path: string, visit: (zip: ZipFile, entry: Entry) => Promise<void>): Promise<void> {
  const zip = await openPromise(path).catch((error: unknown) => {
    throw new Error(`${path}: ${messageOf(error)}`, { cause: error });
  });
  try {
    for await (const entry of zip.eachEntry()) if (!entry.fileName.endsWith('/')) await visit(zip, entry);
  } finally {
    zip.close();
  }
}

/** RECORD's lines `path,sha256=DIGEST,bytes` (PEP 376); a path with a comma is quoted. */
function parseRecord(record: string): Map<string, string> {
  const digests = new Map<string, string>();
  for (const line of record.split(/\r?\n/)) {
    const match = /^(?:"((?:[^"]|"")+)"|([^,]+)),sha256=([^,]+),/.exec(line);
    if (match) digests.set((match.at(1) ?? match[2]).replaceAll('""', '"'), match[3].replace(/=+$/, ''));
  }
  return digests;
}
