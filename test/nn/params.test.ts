import { beforeAll, describe, expect, it } from '@jest/globals';
import { startEngine, tf } from '../../src/engine/index.js';
import { arraysFrom, paramsFrom, under } from '../../src/nn/index.js';

beforeAll(async () => {
  await startEngine();
});

describe('parameters', () => {
  it('go to tensors and back unchanged', async () => {
    const arrays = { 'a.weight': { shape: [2, 2], dtype: 'float32' as const, data: new Float32Array([1, 2, 3, 4]) } };
    const params = paramsFrom(arrays);
    expect(await arraysFrom(params)).toEqual(arrays);
    tf.dispose(params);
  });

  it('take whole and double numbers as float32', async () => {
    const params = paramsFrom({
      count: { shape: [], data: new BigInt64Array([7n]) },
      table: { shape: [2], data: new Float64Array([0.1, -3]) },
    });
    const { count, table } = await arraysFrom(params);
    expect(count).toEqual({ shape: [], dtype: 'float32', data: new Float32Array([7]) });
    expect(table.data).toEqual(new Float32Array([0.1, -3]));
    tf.dispose(params);
  });

  it('under cuts a whole prefix off, not a part of a word', () => {
    const params = paramsFrom({ 'block.1.w': { shape: [1], data: [1] }, 'block.10.w': { shape: [1], data: [2] } });
    expect(Object.keys(under(params, 'block.1'))).toEqual(['w']);
    tf.dispose(params);
  });
});
