/* Our side of codec.ts: opens the tokenizer in FOLDER/weights, answers each line on stdin, `encode f32`, with what the pass cost. */
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { startEngine, tf, type Tensor, type Tensor3D, type Tensor4D } from '../../src/engine/index.js';
import { configureEngine } from '../../src/engine/options.js';
import { readNpy, writeNpy } from '../../src/io/index.js';
import { openTokenizer } from '../../src/tokenizers/index.js';
import { measured } from '../helpers/cost.js';

const [folder, side] = process.argv.slice(2);
const tensorOf = async (name: string): Promise<Tensor> => {
  const { data, shape } = await readNpy(join(folder, name));
  return tf.tensor(data as Float32Array, shape);
};

const engine = await startEngine();
const tokenizer = await openTokenizer(join(folder, 'weights'), { imageSize: Number(side) });
const given = { encode: await tensorOf('images.npy'), decode: await tensorOf('latents.npy') };
const works = {
  encode: () => tokenizer.encode(given.encode as Tensor4D),
  decode: () => tokenizer.decode(given.decode as Tensor3D),
};
process.stdout.write(`${JSON.stringify({ engine })}\n`);

for await (const line of createInterface({ input: process.stdin })) {
  const [work, precision] = line.split(' ') as ['encode' | 'decode', 'f32' | 'bf16'];
  configureEngine({ precision });
  const [{ data, shape }, cost] = await measured(async () => {
    const result = await works[work]();
    const numbers = await result.data<'float32'>().finally(() => result.dispose());
    return { data: numbers, shape: result.shape };
  });
  await writeNpy(join(folder, `${work}-${precision}.npy`), { data, shape, dtype: 'float32' }, { force: true });
  process.stdout.write(`${JSON.stringify(cost)}\n`);
}
