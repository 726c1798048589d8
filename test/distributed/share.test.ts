import { expect, test } from '@jest/globals';
import { shareOf, shareOfStretches } from '../../src/distributed/index.js';

const shares = (size: number, count: number, unit?: number): [number, number][] =>
  Array.from({ length: size }, (_, rank) => shareOf({ rank, size }, count, unit)).map(({ start, end }) => [start, end]);

test('ranks take stretches that follow each other and differ by one at most', () => {
  expect(shares(3, 8)).toEqual([
    [0, 3],
    [3, 6],
    [6, 8],
  ]);
});

test('stretches are cut at multiples of a unit', () => {
  expect(shares(2, 11, 4)).toEqual([
    [0, 8],
    [8, 11],
  ]);
});

test('more ranks than things leave the last ones with nothing', () => {
  expect(shares(3, 2)).toEqual([
    [0, 1],
    [1, 2],
    [2, 2],
  ]);
});

test('what is left of a work is shared out in pieces between multiples of a unit', () => {
  const left = [
    { start: 2, end: 5 },
    { start: 8, end: 13 },
  ];
  const of = (rank: number) => shareOfStretches({ rank, size: 2 }, left, 4);
  expect(of(0)).toEqual([{ start: 2, end: 5 }]);
  expect(of(1)).toEqual([{ start: 8, end: 13 }]);
});
