/**
 * A quadtree over points in the plane, rebuilt in place in every iteration, for sums over all pairs that treat far
 * groups of points as one (Barnes & Hut 1986).
 */
export class Quadtree {
  /** Per node: points in it, their centre of mass, its width, and its four children (0: none). */
  private mass: Float64Array;
  private x: Float64Array;
  private y: Float64Array;
  private width: Float64Array;
  private children: Int32Array;
  private used = 0;
  /** The same nodes depth first, so that a walk reads memory forwards: x, y, mass and squared width (leaves: −1). */
  private packed = new Float64Array(0);
  /** Where a walk continues if it does not enter the node. */
  private after = new Int32Array(0);
  private walkable = 0;

  constructor(points: number) {
    const capacity = 3 * points + 64;
    this.mass = new Float64Array(capacity);
    this.x = new Float64Array(capacity);
    this.y = new Float64Array(capacity);
    this.width = new Float64Array(capacity);
    this.children = new Int32Array(4 * capacity);
  }

  /** Of points [n, 2]. */
  build(points: Float64Array): void {
    let [left, right, bottom, top] = [Infinity, -Infinity, Infinity, -Infinity];
    for (let at = 0; at < points.length; at += 2) {
      left = Math.min(left, points[at]);
      right = Math.max(right, points[at]);
      bottom = Math.min(bottom, points[at + 1]);
      top = Math.max(top, points[at + 1]);
    }
    const width = Math.max(right - left, top - bottom, Number.MIN_VALUE) * (1 + 1e-9);
    this.used = 0;
    this.node(width);
    for (let at = 0; at < points.length; at += 2) this.insert(points[at], points[at + 1], left, bottom, width);
    if (this.after.length < this.used) {
      this.packed = new Float64Array(4 * this.mass.length);
      this.after = new Int32Array(this.mass.length);
    }
    this.walkable = 0;
    this.pack(0);
  }

  private node(width: number): number {
    if (this.used === this.mass.length) this.grow();
    const node = this.used++;
    this.mass[node] = this.x[node] = this.y[node] = 0;
    this.width[node] = width;
    this.children.fill(0, 4 * node, 4 * node + 4);
    return node;
  }

  private grow(): void {
    const longer = <T extends Float64Array | Int32Array>(array: T, make: new (length: number) => T): T => {
      const out = new make(array.length * 2);
      out.set(array);
      return out;
    };
    this.mass = longer(this.mass, Float64Array);
    this.x = longer(this.x, Float64Array);
    this.y = longer(this.y, Float64Array);
    this.width = longer(this.width, Float64Array);
    this.children = longer(this.children, Int32Array);
  }

  /** Adds to the sums of every node on the way down; a leaf that a second point meets is split. */
  private insert(px: number, py: number, left: number, bottom: number, width: number): void {
    let node = 0;
    for (let depth = 0; ; depth++) {
      const alone = this.mass[node];
      const [ox, oy] = [this.x[node], this.y[node]];
      this.mass[node]++;
      this.x[node] += px;
      this.y[node] += py;
      if (alone === 0 || depth === MAX_DEPTH) return;
      width /= 2;
      if (alone === 1) {
        const child = this.child(node, ox, oy, left, bottom, width);
        this.mass[child] = 1;
        this.x[child] = ox;
        this.y[child] = oy;
      }
      node = this.child(node, px, py, left, bottom, width);
      if (px >= left + width) left += width;
      if (py >= bottom + width) bottom += width;
    }
  }

  /** The quarter that a point lies in, made where there is none. */
  private child(node: number, px: number, py: number, left: number, bottom: number, width: number): number {
    const slot = 4 * node + (px >= left + width ? 1 : 0) + (py >= bottom + width ? 2 : 0);
    if (this.children[slot] === 0) {
      const made = this.node(width);
      this.children[slot] = made;
    }
    return this.children[slot];
  }

  private pack(node: number): void {
    const at = this.walkable++;
    this.packed[4 * at] = this.x[node] / this.mass[node];
    this.packed[4 * at + 1] = this.y[node] / this.mass[node];
    this.packed[4 * at + 2] = this.mass[node];
    for (let slot = 4 * node; slot < 4 * node + 4; slot++)
      if (this.children[slot] !== 0) this.pack(this.children[slot]);
    this.after[at] = this.walkable;
    this.packed[4 * at + 3] = this.walkable === at + 1 ? -1 : this.width[node] ** 2;
  }

  /**
   * t-SNE's repulsion at a point of the tree: adds Σ q² (p − p_j) to forces[at] and [at + 1], returns Σ q over the other
   * points, q = 1 / (1 + |p − p_j|²). A node narrower than `angle` times its distance counts as one point.
   */
  repulsion(px: number, py: number, squaredAngle: number, forces: Float64Array, at: number): number {
    const { packed, after, walkable } = this;
    let [sum, fx, fy] = [0, 0, 0];
    for (let node = 0; node < walkable;) {
      const dx = px - packed[4 * node];
      const dy = py - packed[4 * node + 1];
      const square = dx * dx + dy * dy;
      if (packed[4 * node + 3] < squaredAngle * square) {
        const q = 1 / (1 + square);
        const weighted = packed[4 * node + 2] * q;
        sum += weighted;
        fx += weighted * q * dx;
        fy += weighted * q * dy;
        node = after[node];
      } else node++;
    }
    forces[at] += fx;
    forces[at + 1] += fy;
    // The point met itself too, with q = 1 and no force.
    return sum - 1;
  }
}

/** Points that still share a quarter at this depth are one for all purposes. */
const MAX_DEPTH = 40;
