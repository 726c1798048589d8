import { open } from 'node:fs/promises';
import { npyBytesBefore } from '../../src/io/npy.js';

/** A float32 .npy file [rows, dims] written chunk by chunk, so that it need not fit in memory. */
export async function npyStream(
  path: string,
  rows: number,
  dims: number,
  chunkRows: number,
  chunk: (start: number, count: number) => Float32Array,
): Promise<void> {
  const file = await open(path, 'w');
  try {
    await file.writeFile(npyBytesBefore({ shape: [rows, dims], dtype: 'float32', data: new Float32Array(0) }));
    for (let start = 0; start < rows; start += chunkRows) {
      const data = chunk(start, Math.min(chunkRows, rows - start));
      await file.writeFile(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
    }
  } finally {
    await file.close();
  }
}
