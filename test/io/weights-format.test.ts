import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { readWeights } from '../../src/io/index.js';
import { weightsFormat } from '../../src/io/weights-format.js';
import { tempFolder } from '../helpers/temp.js';

const folder = tempFolder();

/** A file whose header has this many bytes, as the format allows: JSON, then spaces. */
async function withHeaderOf(length: number): Promise<string> {
  const header = JSON.stringify({ w: { dtype: 'F32', shape: [1], data_offsets: [0, 4] } });
  const start = Buffer.alloc(8);
  start.writeBigUInt64LE(BigInt(length));
  const path = join(folder, `${length}.safetensors`);
  await writeFile(path, Buffer.concat([start, Buffer.from(header.padEnd(length)), Buffer.from('0000803f', 'hex')]));
  return path;
}

test('a safetensors file is one whatever its header’s length, and so its first byte, is', async () => {
  const first = 256;
  for (let residue = 0; residue < 256; residue++) {
    const { w } = await readWeights(await withHeaderOf(first + residue));
    expect({ residue, w: w.data }).toEqual({ residue, w: Float32Array.of(1) });
  }
});

test('a header that begins as an old checkpoint does, 0x80 0x02, is still a safetensors file’s', async () => {
  expect(await weightsFormat(await withHeaderOf(0x0280))).toBe('safetensors');
});

/** `pickle.dumps({'a': 1.5, 'b': '{'}, protocol)` of Python 3.11, by protocol. */
const ITEMS = '7d710028580100000061710147' + '3ff8000000000000580100000062710258010000007b7103752e';
const FRAMED = '951a000000000000007d94288c016194473ff80000000000008c0162948c017b94752e';
const PICKLES = [
  [0, '286470300a56610a70310a46312e350a7356620a70320a567b0a70330a732e'],
  [1, ITEMS],
  [2, `8002${ITEMS}`],
  [3, `8003${ITEMS}`],
  [4, `8004${FRAMED}`],
  [5, `8005${FRAMED}`],
] as const;

test.each(PICKLES)('a pickle of protocol %i is refused as such', async (protocol, bytes) => {
  const path = join(folder, `${protocol}.pkl`);
  await writeFile(path, Buffer.from(bytes, 'hex'));
  await expect(readWeights(path)).rejects.toThrow(
    protocol < 2 ? /is not a safetensors file: its header would be/ : /not a PyTorch checkpoint/,
  );
});

test.each([
  ['array.npy', '\x93NUMPY\x01\0', /array\.npy: is one NumPy array/],
  ['old.tar', '\0'.repeat(257) + 'ustar', /old\.tar: is a tar archive, as PyTorch wrote before 0\.2/],
  ['model.gguf', 'GGUF\x03\0\0\0', /model\.gguf: is a GGUF file/],
])('%s is named for what it is', async (name, content, message) => {
  await writeFile(join(folder, name), Buffer.from(content, 'latin1'));
  await expect(readWeights(join(folder, name))).rejects.toThrow(message);
});
