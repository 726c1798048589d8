import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import {
  add,
  Arena,
  exp,
  laneSums,
  load,
  mul,
  SimdModule,
  startThreads,
  shiftLeft,
  i32,
  fetchAdd,
  less,
} from '../../src/simd/index.js';

describe('a kernel written as expressions', () => {
  it('runs on one thread and on several, work shared out by a counter', async () => {
    const arena = new Arena();
    const [next, numbers] = [arena.take(64), arena.take(4000)];
    const m = new SimdModule(arena.pages);
    m.routine('double', { thread: 'i32', count: 'i32' }, undefined, (f, { count }) => {
      const i = f.local('i32', fetchAdd(i32(next), 1));
      f.while(less(i, count), () => {
        const at = f.local('i32', add(shiftLeft(i, 2), numbers));
        f.store(at, mul(load('f32', at), 2));
        f.set(i, fetchAdd(i32(next), 1));
      });
    });
    for (const count of [1, 3]) {
      const threads = await startThreads(m.bytes(), arena.pages, count);
      const values = new Float32Array(threads.memory.buffer, numbers, 1000).fill(3);
      await threads.run('double', 1000);
      await threads.close();
      expect(values.every(value => value === 6)).toBe(true);
    }
  });

  it('calls functions that an addon gives for its memory', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'maetok-addon-'));
    const path = join(folder, 'addon.cjs');
    writeFileSync(path, 'exports.bind = (memory, factor) => ({ scale: at => void (memory[at] *= factor) });');
    const m = new SimdModule(1);
    const scale = m.imported('scale', { at: 'i32' });
    m.routine('run', { thread: 'i32' }, undefined, (f, { thread }) => f.call(scale, add(thread, 1)));
    for (const count of [1, 2]) {
      const threads = await startThreads(m.bytes(), 1, count, { path, values: [5] });
      const bytes = new Uint8Array(threads.memory.buffer).fill(7, 0, 4);
      await threads.run('run');
      await threads.close();
      expect([...bytes.subarray(0, 4)]).toEqual(count === 1 ? [7, 35, 7, 7] : [7, 35, 35, 7]);
    }
    rmSync(folder, { recursive: true });
  });

  it('has an exponential good to single precision, and sums over lanes', async () => {
    const m = new SimdModule(1);
    m.routine('exponentials', { thread: 'i32', count: 'i32' }, undefined, (f, { count }) => {
      f.range(0, shiftLeft(count, 2), 16, at => {
        const x = f.local('f32x4', load('f32x4', at));
        f.store(at, exp(f, x));
      });
    });
    m.routine('sums', { thread: 'i32' }, undefined, f => {
      f.store(
        i32(64),
        laneSums(
          f,
          [0, 16, 32, 48].map(at => f.local('f32x4', load('f32x4', i32(at)))),
        ),
      );
    });
    const threads = await startThreads(m.bytes(), 1, 1);
    const numbers = new Float32Array(threads.memory.buffer);
    const inputs = Float32Array.from({ length: 2000 }, (_, i) => -80 + 0.08 * i);
    numbers.set(inputs);
    await threads.run('exponentials', inputs.length);
    inputs.forEach((x, i) => expect(Math.abs(numbers[i] / Math.exp(x) - 1)).toBeLessThan(4e-7));
    numbers.set(Array.from({ length: 16 }, (_, i) => i));
    await threads.run('sums');
    expect([...numbers.subarray(16, 20)]).toEqual([6, 22, 38, 54]);
  });
});
