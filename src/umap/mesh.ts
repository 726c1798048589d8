/*
 * The repulsion of t-SNE on a mesh. All of it is the slope of one potential, φ(y) = Σ q with q = 1 / (1 + |y − y_j|²): the sum
 * of φ over the points normalises, −∇φ/2 = Σ q² (y − y_j) repels. So the points are spread over a mesh once and convolved
 * with q once, as the Ewald sum of molecular dynamics is taken (Essmann et al. 1995), where interpolation by polynomials
 * (Linderman et al. 2019) convolves four times. The error of a force is 2 hundredths at nodes half a unit apart.
 */

/** Order of the B-splines by which points are spread over nodes and potentials are read between them. */
const ORDER = 6;
/** Nodes of a mesh's side that points do not reach: the splines', and as many from the seam of the periodic kernel. */
const MARGIN = 2 * ORDER;
/** Between nodes, in units of the plane, in which q is about one wide. */
const WIDEST = 0.5;
/** What the points are given beyond their present extent, so that a mesh lasts for some iterations. */
const ROOM = 1.2;

/** A square mesh. */
export interface Mesh {
  /** Length of the transforms: twice the nodes of a side. */
  m: number;
  /** Distance between nodes. */
  step: number;
}

/** Lengths of transforms, ascending. */
const LENGTHS = [128, 192, 256, 384, 512, 768, 1024, 1536, 2048, 3072, 4096];

/**
 * The longest transform that so many points may need: they spread to some 1.5 √rows. What is wider all the same is computed on
 * wider steps.
 */
export const longestTransform = (rows: number): number =>
  LENGTHS.find(m => m >= Math.max(1024, 16 * Math.sqrt(rows))) ?? LENGTHS[LENGTHS.length - 1];

/** The distance that points on it may span. */
const reach = ({ m, step }: Mesh): number => (m / 2 - MARGIN) * step;

/** A mesh for points of this extent: the one at hand as long as it fits. */
export function meshFor(extent: number, longest: number, current?: Mesh): Mesh {
  if (current && extent <= reach(current) && extent > reach(current) / 2) return current;
  const wanted = ROOM * Math.max(extent, 1e-30);
  const m = LENGTHS.find(length => length === longest || reach({ m: length, step: WIDEST }) >= wanted)!;
  return { m, step: wanted / (m / 2 - MARGIN) };
}

/** q of squared distances, less what it is at `far` (squared): no digits are lost to what all nodes share. */
const excess = (square: number, far: number): number => (far - square) / ((1 + square) * (1 + far));

/** q at the distance that `kernel` is relative to. */
export const farKernel = ({ m, step }: Mesh): number => 1 / (1 + ((m / 2) * step) ** 2);

/** q between the nodes of the periodic mesh, [m, m], less `farKernel`. */
export function kernel({ m, step }: Mesh, out: Float32Array): void {
  const squares = Float64Array.from({ length: m }, (_, i) => (Math.min(i, m - i) * step) ** 2);
  const far = squares[m / 2];
  for (let i = 0; i < m; i++) for (let j = 0; j < m; j++) out[i * m + j] = excess(squares[i] + squares[j], far);
}

/**
 * A kernel's transform [m, m] into the factors of a convolution between splines: on either side the values of a spline
 * at the nodes are not its coefficients, which their transform's quotient makes of them. The transform's own m² is taken out too.
 */
export function factors(transform: Float32Array, m: number): void {
  const smoothing = Float64Array.from({ length: m }, (_, k) => {
    const angle = (2 * Math.PI * k) / m;
    return ((66 + 52 * Math.cos(angle) + 2 * Math.cos(2 * angle)) / 120) ** 2 * m;
  });
  for (let i = 0; i < m; i++) for (let j = 0; j < m; j++) transform[i * m + j] /= smoothing[i] * smoothing[j];
}

/** Where a mesh lies: the least coordinates of the points. */
export interface Corner {
  left: number;
  bottom: number;
}

/** Corner and larger side of the points' bounding box. */
export function boundingBox(points: Float32Array): Corner & { extent: number } {
  let [left, right, bottom, top] = [Infinity, -Infinity, Infinity, -Infinity];
  for (let at = 0; at < points.length; at += 2) {
    const [x, y] = [points[at], points[at + 1]];
    if (x < left) left = x;
    if (x > right) right = x;
    if (y < bottom) bottom = y;
    if (y > top) top = y;
  }
  return { left, bottom, extent: Math.max(right - left, top - bottom) };
}

const across = new Float64Array(2 * ORDER);
const upward = new Float64Array(2 * ORDER);

/** Adds every point, with weights that sum to one, to nodes [side, side]. */
export function spread(points: Float32Array, { left, bottom }: Corner, { m, step }: Mesh, nodes: Float32Array): void {
  const side = m / 2;
  nodes.fill(0, 0, side * side);
  for (let at = 0; at < points.length; at += 2) {
    const column = spline((points[at] - left) / step, across);
    const row = spline((points[at + 1] - bottom) / step, upward);
    for (let j = 0; j < ORDER; j++) {
      const start = (row + j) * side + column;
      const weight = upward[j];
      for (let i = 0; i < ORDER; i++) nodes[start + i] += weight * across[i];
    }
  }
}

/** Reads potentials [side, side] at the points: half of their downward slopes go into `forces`; the sum comes back. */
export function read(
  points: Float32Array,
  { left, bottom }: Corner,
  { m, step }: Mesh,
  nodes: Float32Array,
  forces: Float32Array,
): number {
  const side = m / 2;
  let sum = 0;
  for (let at = 0; at < points.length; at += 2) {
    const column = spline((points[at] - left) / step, across);
    const row = spline((points[at + 1] - bottom) / step, upward);
    let [value, slopeX, slopeY] = [0, 0, 0];
    for (let j = 0; j < ORDER; j++) {
      const start = (row + j) * side + column;
      let [along, slope] = [0, 0];
      for (let i = 0; i < ORDER; i++) {
        const node = nodes[start + i];
        along += across[i] * node;
        slope += across[ORDER + i] * node;
      }
      value += upward[j] * along;
      slopeX += upward[j] * slope;
      slopeY += upward[ORDER + j] * along;
    }
    sum += value;
    forces[at] = (-0.5 * slopeX) / step;
    forces[at + 1] = (-0.5 * slopeY) / step;
  }
  return sum;
}

/** The B-spline's values at a position's nodes, then its slopes; the first node comes back. By the recursion over orders. */
function spline(position: number, out: Float64Array): number {
  const first = Math.floor(position);
  const f = position - first;
  out[0] = 1 - f;
  out[1] = f;
  for (let order = 3; order <= ORDER; order++) {
    if (order === ORDER)
      for (let k = 0; k < ORDER; k++) out[ORDER + k] = (k > 0 ? out[k - 1] : 0) - (k < ORDER - 1 ? out[k] : 0);
    const scale = 1 / (order - 1);
    out[order - 1] = scale * f * out[order - 2];
    for (let k = order - 2; k > 0; k--) out[k] = scale * ((f + order - 1 - k) * out[k - 1] + (k + 1 - f) * out[k]);
    out[0] *= scale * (1 - f);
  }
  return first;
}
