import { createReadStream, createWriteStream } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { Communicator } from '../distributed/index.js';
import { holdFolder } from '../io/index.js';

/**
 * Has rank 0 write one file out of what all ranks produce, in their order: the others leave their bytes in files of a folder
 * beside `path` meanwhile, which is removed at the end.
 */
export async function throughFirst(
  path: string,
  own: AsyncIterable<Uint8Array>,
  communicator: Communicator,
  write: (all: AsyncIterable<Uint8Array>) => Promise<void>,
): Promise<void> {
  if (communicator.size === 1) {
    await write(own);
    return;
  }
  const folder = `${path}.parts`;
  const partOf = (rank: number): string => join(folder, `rank${rank}`);
  async function* inOrder(): AsyncGenerator<Uint8Array> {
    yield* own;
    await communicator.barrier();
    for (let rank = 1; rank < communicator.size; rank++) yield* createReadStream(partOf(rank));
  }
  await holdFolder(folder, { communicator }, async () => {
    if (communicator.rank === 0) {
      await write(inOrder()).finally(() => rm(folder, { recursive: true, force: true }));
    } else {
      await pipeline(Readable.from(own), createWriteStream(partOf(communicator.rank)));
      await communicator.barrier();
    }
  });
}
