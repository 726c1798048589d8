/** Neighbours of every row, nearest first and without itself: row-major [rows, k]. */
export interface NeighbourLists {
  k: number;
  rows: Int32Array;
  /** Distances. */
  values: Float32Array;
}

/** Weighted edges, each pair of rows in both directions, grouped by `head` in ascending order. */
export interface Edges {
  head: Int32Array;
  tail: Int32Array;
  weight: Float32Array;
}

/**
 * Edges where at least one end counts the other among its neighbours. `directed` [rows, k] weighs the lists' own
 * entries; `join` makes one weight of the two directions (0 where one is missing).
 */
export function symmetricEdges(
  { k, rows: lists }: NeighbourLists,
  directed: Float32Array,
  join: (forth: number, back: number) => number,
): Edges {
  const rows = lists.length / k;
  const back = new Int32Array(lists.length);
  const degrees = new Int32Array(rows + 1);
  for (let i = 0; i < rows; i++)
    for (let at = i * k; at < (i + 1) * k; at++) {
      const j = lists[at];
      back[at] = lists.subarray(j * k, (j + 1) * k).indexOf(i);
      degrees[i + 1]++;
      if (back[at] < 0) degrees[j + 1]++;
    }
  for (let i = 0; i < rows; i++) degrees[i + 1] += degrees[i];
  const count = degrees[rows];
  const next = degrees.slice(0, rows);
  const edges = { head: new Int32Array(count), tail: new Int32Array(count), weight: new Float32Array(count) };
  const put = (from: number, to: number, weight: number): void => {
    const at = next[from]++;
    edges.head[at] = from;
    edges.tail[at] = to;
    edges.weight[at] = weight;
  };
  for (let i = 0; i < rows; i++)
    for (let at = i * k; at < (i + 1) * k; at++) {
      const j = lists[at];
      if (back[at] < 0) {
        const weight = join(directed[at], 0);
        put(i, j, weight);
        put(j, i, weight);
      } else put(i, j, join(directed[at], directed[j * k + back[at]]));
    }
  return edges;
}

const STEPS = 64;
const CLOSE_ENOUGH = 1e-5;
/** Least bandwidth as a share of the mean distance. */
const LEAST = 1e-3;

/**
 * UMAP's fuzzy simplicial set (McInnes et al. 2018, algorithms 2 and 3): weights exp(−(d − ρ) / σ) with ρ the distance to
 * the nearest other point and σ such that a row's weights sum to log₂ of the neighbours, itself counted; the two
 * directions are joined as probabilities, a + b − ab.
 */
export function fuzzyGraph(neighbours: NeighbourLists): Edges {
  const { k, values } = neighbours;
  const rows = values.length / k;
  const target = Math.log2(k + 1);
  const overall = values.reduce((sum, value) => sum + value, 0) / (rows * (k + 1));
  const directed = new Float32Array(values.length);
  for (let i = 0; i < rows; i++) {
    const distances = values.subarray(i * k, (i + 1) * k);
    const nearest = distances.find(distance => distance > 0) ?? 0;
    const mean = nearest > 0 ? distances.reduce((sum, value) => sum + value, 0) / (k + 1) : overall;
    const width = Math.max(bandwidth(distances, nearest, target), LEAST * mean);
    for (let j = 0; j < k; j++) directed[i * k + j] = Math.exp(-Math.max(0, distances[j] - nearest) / width);
  }
  return symmetricEdges(neighbours, directed, (a, b) => a + b - a * b);
}

function bandwidth(distances: Float32Array, nearest: number, target: number): number {
  let [low, high, width] = [0, Infinity, 1];
  for (let step = 0; step < STEPS; step++) {
    let sum = 0;
    for (const distance of distances) sum += Math.exp(-Math.max(0, distance - nearest) / width);
    if (Math.abs(sum - target) < CLOSE_ENOUGH) break;
    if (sum > target) high = width;
    else low = width;
    width = high === Infinity ? width * 2 : (low + high) / 2;
  }
  return width;
}
