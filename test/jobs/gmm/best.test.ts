import { describe, expect, it } from '@jest/globals';
import { RandomNumbers } from '../../../src/base/index.js';
import { bestMixtures } from '../../../src/jobs/gmm/index.js';

/** A fit whose held-out NLL has this mean: the rows' noise is the same for every fit, with `extra` of its own. */
function fit(source: string, components: number, mean: number, extra: number) {
  const [shared, own] = ['shared', String(components)].map(name => new RandomNumbers(1).for(name).normals(60));
  const drift = own.reduce((sum, value) => sum + value, 0) / own.length;
  return {
    source,
    components,
    nlls: [Float32Array.from(shared, (noise, row) => mean + noise + extra * (own[row] - drift))],
    fit: { mixture: { weights: Float64Array.from({ length: components }, () => 1 / components) } },
    modeOf: Int32Array.from({ length: components }, (_, k) => Math.floor(k / 2)),
  };
}

const best = (...fits: ReturnType<typeof fit>[]) => bestMixtures(fits as never, 0);

describe('the best mixture', () => {
  it('is where held-out rows are most likely, not the largest, with what that mixture is like', () => {
    expect(best(fit('a', 2, 3, 0), fit('a', 4, 2.9, 0), fit('a', 8, 3.1, 0))).toEqual([
      {
        source: 'a',
        ...{ best_components: 4, best_components_low: 4, best_components_high: 4 },
        ...{ effective_components: expect.closeTo(4, 9), modes: 2, modes_low: 2, modes_high: 2 },
        ...{ effective_components_low: expect.closeTo(4, 9), effective_components_high: expect.closeTo(4, 9) },
        at_largest: false,
      },
    ]);
  });

  it('has a wide interval where other rows would choose another number', () => {
    const [row] = best(fit('a', 2, 3, 0.5), fit('a', 4, 2.999, 0.5), fit('a', 8, 3.4, 0.5));
    expect([row.best_components_low, row.best_components_high]).toEqual([2, 4]);
  });

  it('is chosen for each source by itself, and says when it is the largest that was tried', () => {
    const rows = best(fit('a', 2, 3, 0), fit('a', 4, 2.9, 0), fit('b', 2, 2.9, 0), fit('b', 4, 3, 0));
    expect(rows.map(row => [row.source, row.best_components, row.at_largest])).toEqual([
      ['a', 4, true],
      ['b', 2, false],
    ]);
  });
});
