import { expect, test } from '@jest/globals';
import { costAt, fitGrowth } from '../../bench/growth/fit.js';

const sizes = [10, 100, 200, 400];

test.each([0.5, 1, 1.5, 2])('the exponent %d is found beside a fixed cost', exponent => {
  const costs = sizes.map(size => 3 + 0.02 * size ** exponent);
  const growth = fitGrowth(sizes, costs)!;
  expect(growth.exponent).toBeCloseTo(exponent, 4);
  expect(growth.fixed).toBeCloseTo(3, 2);
  sizes.forEach((size, i) => expect(costAt(growth, size)).toBeCloseTo(costs[i], 2));
});

test('costs that do not grow have no exponent', () => {
  expect(fitGrowth(sizes, [3, 2.9, 3, 3.1])).toBeUndefined();
});
