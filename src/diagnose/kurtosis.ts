import { sumOf, sumTogether, type OfRanks } from '../distributed/index.js';
import type { RowSource } from '../rows/index.js';

/** Each number's excess kurtosis over the rows (0 for a Gaussian), about a mean that is known; NaN where it is constant. */
export async function excessKurtosis(source: RowSource, mean: Float64Array, ranks?: OfRanks): Promise<Float64Array> {
  const { width } = source;
  const squares = new Float64Array(width);
  const fourths = new Float64Array(width);
  let seen = 0;
  for await (const { rows, data } of source.chunks(ranks?.share)) {
    for (let i = 0, at = 0; i < rows; i++)
      for (let j = 0; j < width; j++, at++) {
        const square = (data[at] - mean[j]) ** 2;
        squares[j] += square;
        fourths[j] += square * square;
      }
    seen += rows;
  }
  if (ranks) {
    await sumTogether(ranks.communicator, [squares, fourths]);
    seen = await sumOf(ranks.communicator, seen);
  }
  return fourths.map((fourth, j) => (squares[j] > 0 ? (seen * fourth) / squares[j] ** 2 - 3 : NaN));
}
