import { readSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { unreadable, UserError } from '../base/index.js';

/** Bytes that can be read anywhere: a file, a member of an archive, memory. Nothing outside it is ever read. */
export interface ByteSource {
  /** Name in messages: the path, with the member's name for an archive. */
  readonly name: string;
  readonly size: number;
  /** Exactly `length` bytes in memory of their own; a UserError where the source ends before. */
  read(offset: number, length: number): Promise<Uint8Array<ArrayBuffer>>;
  /** Likewise, while everything waits; a source of other bytes than a file's has none. */
  readSync?: (offset: number, length: number) => Uint8Array<ArrayBuffer>;
  close(): Promise<void>;
}

/** One read call of the operating system takes less than 2^31 bytes. */
const LARGEST_READ = 2 ** 30;

/** Opens a file for reading at any place. */
export async function openBytes(path: string): Promise<ByteSource> {
  const file = await open(path, 'r').catch((error: unknown) => {
    throw unreadable(path, error);
  });
  const stats = await file.stat();
  if (!stats.isFile()) {
    await file.close();
    throw new UserError(`${path}: is ${stats.isDirectory() ? 'a folder' : 'not a regular file'}; a file was expected`);
  }
  return {
    name: path,
    size: stats.size,
    async read(offset, length) {
      checkRange(path, stats.size, offset, length);
      const bytes = new Uint8Array(length);
      for (let done = 0; done < length;) {
        const { bytesRead } = await file.read(bytes, done, Math.min(length - done, LARGEST_READ), offset + done);
        if (bytesRead === 0) throw shrank(path);
        done += bytesRead;
      }
      return bytes;
    },
    readSync(offset, length) {
      checkRange(path, stats.size, offset, length);
      const bytes = new Uint8Array(length);
      for (let done = 0; done < length;) {
        const read = readSync(file.fd, bytes, done, Math.min(length - done, LARGEST_READ), offset + done);
        if (read === 0) throw shrank(path);
        done += read;
      }
      return bytes;
    },
    close: () => file.close(),
  };
}

const shrank = (path: string): UserError => new UserError(`${path}: shrank while it was being read`);

/** Bytes in memory. */
export function memoryBytes(name: string, content: Uint8Array): ByteSource {
  return {
    name,
    size: content.byteLength,
    read(offset, length) {
      checkRange(name, content.byteLength, offset, length);
      return Promise.resolve(new Uint8Array(content.subarray(offset, offset + length)));
    },
    close: () => Promise.resolve(),
  };
}

/** A part of another source, which stays open when the part is closed. */
export function partOf(whole: ByteSource, name: string, start: number, size: number): ByteSource {
  checkRange(name, whole.size, start, size);
  return {
    name,
    size,
    async read(offset, length) {
      checkRange(name, size, offset, length);
      return await whole.read(start + offset, length);
    },
    close: () => Promise.resolve(),
  };
}

function checkRange(name: string, size: number, offset: number, length: number): void {
  const valid = Number.isSafeInteger(offset) && Number.isSafeInteger(length) && offset >= 0 && length >= 0;
  if (!valid || offset + length > size)
    throw new UserError(
      `${name}: is truncated or damaged: bytes ${offset} to ${offset + length} were expected, it holds ${size}`,
    );
}
