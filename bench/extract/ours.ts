/* Our side of codec.ts: opens the tokenizer in FOLDER/weights, answers each line on stdin, `encode f32`, with what the pass cost. */
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { startEngine, tf, type Tensor, type Tensor3D, type Tensor4D } from '../../src/engine/index.js';
import { configureEngine } from '../../src/engine/options.js';
import { readNpy, writeNpy } from '../../src/io/index.js';
import { openTokenizer } from '../../src/tokenizers/index.js';
import { forgetPeak, peakMegabytes } from '../helpers/memory.js';

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
  forgetPeak();
  const [start, busy] = [performance.now(), process.cpuUsage()];
  const result = await works[work]();
  const data = await result.data<'float32'>();
  const seconds = (performance.now() - start) / 1000;
  const { user, system } = process.cpuUsage(busy);
  const cost = { seconds, cpu: (user + system) / 1e6, megabytes: peakMegabytes() };
  await writeNpy(
    join(folder, `${work}-${precision}.npy`),
    { data, shape: result.shape, dtype: 'float32' },
    { force: true },
  );
  result.dispose();
  process.stdout.write(`${JSON.stringify(cost)}\n`);
}
