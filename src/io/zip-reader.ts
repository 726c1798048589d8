import { Readable } from 'node:stream';
import yauzl from 'yauzl';
import type { ByteSource } from './bytes.js';

/** Directories are read in pieces of a few dozen bytes; a million of them should not be a million system calls. */
const BLOCK = 1 << 16;

/** A `ByteSource` as yauzl reads from it. */
export function zipReader(source: ByteSource): yauzl.RandomAccessReader {
  return new SourceReader(source);
}

class SourceReader extends yauzl.RandomAccessReader {
  private block = { start: 0, bytes: new Uint8Array(0) };

  constructor(private readonly source: ByteSource) {
    super();
  }

  override read(
    buffer: Buffer,
    offset: number,
    length: number,
    position: number,
    callback: (error: Error | null, bytesRead?: number) => void,
  ): void {
    this.bytes(position, length).then(
      bytes => {
        buffer.set(bytes, offset);
        // Out of the promise: what the callback throws is not ours to catch.
        setImmediate(callback, null, length);
      },
      (error: unknown) => setImmediate(callback, error as Error),
    );
  }

  override _readStreamForRange(start: number, end: number): Readable {
    return Readable.from([this.source.read(start, end - start)]);
  }

  override close(callback: (error: Error | null) => void): void {
    callback(null);
  }

  private async bytes(position: number, length: number): Promise<Uint8Array> {
    if (length > BLOCK) return await this.source.read(position, length);
    const inBlock = position - this.block.start;
    if (inBlock < 0 || inBlock + length > this.block.bytes.length) {
      const available = Math.max(length, Math.min(BLOCK, this.source.size - position));
      this.block = { start: position, bytes: await this.source.read(position, available) };
    }
    const from = position - this.block.start;
    return this.block.bytes.subarray(from, from + length);
  }
}
