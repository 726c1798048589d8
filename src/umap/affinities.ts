import { symmetricEdges, type Edges, type NeighbourLists } from './graph.js';

/** Symmetric affinities that sum to one over all edges, of bandwidths whose entropy is log `perplexity`. */
export function affinities(neighbours: NeighbourLists, perplexity: number): Edges {
  const { k, values } = neighbours;
  const rows = values.length / k;
  const directed = new Float32Array(values.length);
  for (let i = 0; i < rows; i++)
    conditional(values.subarray(i * k, (i + 1) * k), perplexity, directed.subarray(i * k, (i + 1) * k));
  return symmetricEdges(neighbours, directed, (a, b) => (a + b) / (2 * rows));
}

function conditional(distances: Float32Array, perplexity: number, out: Float32Array): void {
  const squares = Float64Array.from(distances, distance => distance * distance - distances[0] * distances[0]);
  const target = Math.log(perplexity);
  let [low, high, precision] = [0, Infinity, 1 / (squares[squares.length - 1] || 1)];
  for (let step = 0; step < 100; step++) {
    let [sum, mean] = [0, 0];
    for (let j = 0; j < out.length; j++) {
      const p = Math.exp(-squares[j] * precision);
      out[j] = p;
      sum += p;
      mean += p * squares[j];
    }
    const excess = Math.log(sum) + (precision * mean) / sum - target;
    for (let j = 0; j < out.length; j++) out[j] /= sum;
    if (Math.abs(excess) < 1e-5) return;
    if (excess > 0) low = precision;
    else high = precision;
    precision = high === Infinity ? precision * 2 : (low + high) / 2;
  }
}
