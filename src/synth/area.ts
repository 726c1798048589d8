export interface Extent {
  /** Of the convex hull. */
  area: number;
  /** Root mean square distance from the middle. */
  radius: number;
}

/** How far points in the plane [n, 2] are spread. */
export function extentOf(points: Float32Array): Extent {
  const list = Array.from({ length: points.length / 2 }, (_, i) => [points[2 * i], points[2 * i + 1]] as const);
  const [mx, my] = [0, 1].map(axis => list.reduce((sum, point) => sum + point[axis], 0) / list.length);
  const square = list.reduce((sum, [x, y]) => sum + (x - mx) ** 2 + (y - my) ** 2, 0) / list.length;
  const hull = convexHull(list);
  let twice = 0;
  hull.forEach(([x, y], i) => {
    const [nx, ny] = hull[(i + 1) % hull.length];
    twice += x * ny - nx * y;
  });
  return { area: twice / 2, radius: Math.sqrt(square) };
}

type Point = readonly [x: number, y: number];

/** Counter-clockwise (Andrew 1979). */
function convexHull(points: Point[]): Point[] {
  const sorted = [...points].sort((a, b) => a[0] - b[0] || a[1] - b[1]);
  const chain = (list: Point[]): Point[] => {
    const kept: Point[] = [];
    for (const point of list) {
      while (kept.length > 1 && !turnsLeft(kept[kept.length - 2], kept[kept.length - 1], point)) kept.pop();
      kept.push(point);
    }
    return kept.slice(0, -1);
  };
  return [...chain(sorted), ...chain(sorted.reverse())];
}

const turnsLeft = (a: Point, b: Point, c: Point): boolean =>
  (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0]) > 0;
