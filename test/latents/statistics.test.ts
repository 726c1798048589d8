import { expect, it } from '@jest/globals';
import { RandomNumbers } from '../../src/base/index.js';
import { measuredStatistics } from '../../src/latents/index.js';
import { arrayRows } from '../../src/rows/index.js';
import { asRanks } from '../helpers/ranks.js';

it.each([2, 3])('%i ranks find the statistics of one process, reading a share of the chunks each', async size => {
  // Four rows make a chunk of 4 MiB.
  const layout = { tokens: 2 ** 16, channels: 4 };
  const data = new RandomNumbers(1).normals(10 * 2 ** 18);
  const rows = arrayRows('x', data, 10, 2 ** 18);
  const one = await measuredStatistics(rows, layout);
  let read = 0;
  const counted: typeof rows = {
    ...rows,
    async *chunks(options) {
      for await (const chunk of rows.chunks(options)) {
        read += chunk.rows;
        yield chunk;
      }
    },
  };
  for (const own of await asRanks(size, communicator => measuredStatistics(counted, layout, { communicator })))
    expect(own).toEqual(one);
  expect(read).toBe(10);
});
