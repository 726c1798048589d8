import { RandomNumbers } from '../../src/base/index.js';
import { tf, type Tensor1D, type Tensor2D } from '../../src/engine/index.js';
import { runOp } from '../../src/engine/native.js';
import { createLatentsWriter } from '../../src/latents/index.js';
import { widthOf, type Planted } from './planted.js';

/** Rows drawn at a time; shards hold whole batches of them. */
const BATCH = 8192;

/** Writes planted rows as float16 shards, going on where an earlier run ended. Native engine only. */
export async function writeRows(folder: string, plan: Planted, random: RandomNumbers): Promise<void> {
  const { rows, tokens, channels, axes, components } = plan;
  const writer = await createLatentsWriter(
    folder,
    { tokens, channels, dtype: 'float16', meta: { planted: { components, axes } } },
    { images: rows, resume: true, shardRows: 2 * BATCH, saveSeconds: Infinity, batchSize: BATCH },
  );
  const tables = tf.tidy(() => ({
    factors: Array.from({ length: components }, (_, k) =>
      tf.tensor2d(Float32Array.from(plan.factors.subarray(k * axes ** 2, (k + 1) * axes ** 2)), [axes, axes]),
    ),
    means: tf.tensor2d(Float32Array.from(plan.means), [components, axes]),
    loadings: tf.tensor2d(Float32Array.from(plan.loadings), [widthOf(plan), axes]),
  }));
  for (const { start, end } of writer.missing)
    for (let first = start; first < end; first += BATCH) {
      const images = Array.from({ length: Math.min(BATCH, end - first) }, (_, i) => first + i);
      const batch = tf.tidy(() => drawn(plan, tables, random.at(first), images.length, first));
      await writer.append({ images, latents: batch.dataSync() as Float32Array });
      batch.dispose();
    }
  tf.dispose(tables);
  await writer.finish();
}

interface Tables {
  factors: Tensor2D[];
  means: Tensor2D;
  loadings: Tensor2D;
}

/** A batch whose rows are drawn component by component and then put in the order in which these were drawn. */
function drawn(plan: Planted, tables: Tables, random: RandomNumbers, rows: number, first: number): Tensor2D {
  const { components, axes, shares, noise } = plan;
  const chosen = Array.from(random.for('components').uniforms(rows), u =>
    Math.min(
      components - 1,
      shares.findIndex(share => u < share),
    ),
  );
  const order = chosen.map((_, row) => row).sort((a, b) => chosen[a] - chosen[b] || a - b);
  const place = new Int32Array(rows);
  order.forEach((row, at) => (place[row] = at));
  const normals = (columns: number, stream: number): Tensor2D => standardNormals(rows, columns, [first, stream]);
  const own = normals(axes, 0);
  const parts: Tensor2D[] = [];
  for (let at = 0; at < rows;) {
    const component = chosen[order[at]];
    let end = at;
    while (end < rows && chosen[order[end]] === component) end++;
    parts.push(tf.matMul(own.slice([at, 0], [end - at, axes]), tables.factors[component], false, true));
    at = end;
  }
  const within = tf.gather(tf.concat(parts, 0), tf.tensor1d(place, 'int32'));
  const scores = within.add<Tensor2D>(tf.gather(tables.means, tf.tensor1d(chosen, 'int32')));
  const rest = normals(widthOf(plan), 1).mul(noise);
  return tf.matMul(scores, tables.loadings, false, true).add<Tensor2D>(rest);
}

const INT32 = { type: 'int32' } as const;

/** The same for the same seed, on all cores. */
function standardNormals(rows: number, columns: number, seed: [number, number]): Tensor2D {
  const inputs: Tensor1D[] = [tf.tensor1d([rows, columns], 'int32'), tf.tensor1d(seed, 'int32')];
  const attributes = { dtype: { type: 'float32' }, T: INT32, Tseed: INT32 } as const;
  return runOp('StatelessRandomNormal', inputs, attributes)[0] as Tensor2D;
}
