import type { RawImage } from '../../io/index.js';
import type { Background, SceneFactors, Shape, Texture } from './scenes-factors.js';

/*
 * Scenes are drawn pixel by pixel from signed distances: the share of a pixel that a shape covers is a ramp one pixel
 * wide around distance 0, which is antialiasing at no cost.
 */

type Colour = readonly [red: number, green: number, blue: number];

/** Share of a pixel of width `pixel` that lies inside, from the signed distance of its middle. */
const coverage = (distance: number, pixel: number): number => Math.min(1, Math.max(0, 0.5 - distance / pixel));

/** Signed distance to each shape's edge, negative inside, in units of the radius of the circle around it. */
const SHAPE_DISTANCE: Record<Shape, (x: number, y: number) => number> = {
  disc: (x, y) => Math.hypot(x, y) - 0.9,
  square: (x, y) => Math.max(Math.abs(x), Math.abs(y)) - 0.72,
  triangle: (x, y) => Math.max(0.866 * Math.abs(x) - 0.5 * y, y) - 0.5,
  star: starDistance,
  ring: (x, y) => Math.abs(Math.hypot(x, y) - 0.68) - 0.24,
  cross: (x, y) => Math.min(bar(x, y), bar(y, x)),
  moon: (x, y) => Math.max(Math.hypot(x, y) - 0.95, 0.72 - Math.hypot(x - 0.48, y)),
  hexagon: (x, y) => Math.max(0.866 * Math.abs(x) + 0.5 * Math.abs(y), Math.abs(y)) - 0.8,
};

const bar = (x: number, y: number): number => Math.max(Math.abs(x) - 0.3, Math.abs(y) - 0.9);

/** Five points: fold the plane into one half of one point, then measure to its edge. */
function starDistance(x: number, y: number): number {
  const sector = (2 * Math.PI) / 5;
  const angle = Math.atan2(x, y);
  const folded = Math.abs(angle - sector * Math.round(angle / sector));
  const r = Math.hypot(x, y);
  return r * Math.cos(folded) * STAR_NORMAL[0] + r * Math.sin(folded) * STAR_NORMAL[1] - STAR_OFFSET;
}

const [STAR_NORMAL, STAR_OFFSET] = starEdge(1, 0.45);

/** The line from an outer corner (0, outer) to the next inner corner, as a unit normal and an offset. */
function starEdge(outer: number, inner: number): [normal: readonly [number, number], offset: number] {
  const [x, y] = [inner * Math.sin(Math.PI / 5), inner * Math.cos(Math.PI / 5)];
  const length = Math.hypot(x, outer - y);
  const normal = [x / length, (outer - y) / length] as const;
  return [normal, outer * normal[0]];
}

/** How far a repeating pattern is switched on at phase `t` (in repeats), half of it on. */
const wave = (t: number, pixel: number): number => coverage(Math.abs(t - Math.floor(t) - 0.5) - 0.25, pixel);

/** The share of the second colour, at a place in radii and for a pixel that wide. */
const TEXTURE_SHARE: Record<Texture, (x: number, y: number, period: number, pixel: number) => number> = {
  plain: () => 0,
  stripes: (x, _y, period, pixel) => wave(x / period, pixel / period),
  checks: (x, y, period, pixel) => {
    const [a, b] = [wave(x / period, pixel / period), wave(y / period, pixel / period)];
    return a + b - 2 * a * b;
  },
  dots: (x, y, period, pixel) => {
    const [u, v] = [x / period, y / period];
    return coverage(Math.hypot(u - Math.round(u), v - Math.round(v)) - 0.3, pixel / period);
  },
  // Around a point off the middle, else a ring would look plain.
  arcs: (x, y, period, pixel) => wave(Math.hypot(x - 0.5, y - 0.4) / period, pixel / period),
};

/** The share of the background's second colour, at a place in image sides. */
const BACKGROUND_SHARE: Record<
  Background,
  (layout: SceneFactors['layout'], pixel: number) => (x: number, y: number) => number
> = {
  gradient: ([a]) => {
    const [dx, dy] = [Math.cos(2 * Math.PI * a), Math.sin(2 * Math.PI * a)];
    return (x, y) => 0.5 + 0.7 * (dx * (x - 0.5) + dy * (y - 0.5));
  },
  clouds: ([a, b, c, d]) => {
    const phase = 2 * Math.PI * d;
    const [fx, fy] = [4 + 6 * a, 4 + 6 * b];
    return (x, y) =>
      0.5 + 0.25 * Math.sin(fx * x + 2 * Math.sin(fy * y + phase)) + 0.25 * Math.sin(fy * y + 3 * c * x + phase);
  },
  hills: ([a, b, c, d], pixel) => {
    const [height, swing, frequency, phase] = [0.4 + 0.35 * a, 0.04 + 0.08 * b, 5 + 6 * c, 2 * Math.PI * d];
    return (x, y) => {
      const ground = coverage(height + swing * Math.sin(frequency * x + phase) - y, pixel);
      return ground * (0.75 + 0.25 * y) + (1 - ground) * 0.35 * y;
    };
  },
  tiles: ([a, b, c], pixel) => {
    const side = 0.2 + 0.2 * a;
    return (x, y) => {
      const [u, v] = [wave((x + b) / side, pixel / side), wave((y + c) / side, pixel / side)];
      return 0.3 + 0.25 * (u + v - 2 * u * v) + 0.2 * y;
    };
  },
};

/** Draws one scene, `size` pixels wide and high. */
export function drawScene(factors: SceneFactors, size: number): RawImage {
  const { x, y, radius, rotation, period, light } = factors;
  const pixel = 1 / size;
  const pixelInRadii = pixel / radius;
  const distance = SHAPE_DISTANCE[factors.shape];
  const texture = TEXTURE_SHARE[factors.texture];
  const behind = BACKGROUND_SHARE[factors.background](factors.layout, pixel);
  const [near, far] = [colour(factors.backgroundHue, 0.45, 0.85), colour(factors.backgroundHue + 0.08, 0.5, 0.35)];
  const [first, second] = [colour(factors.hue, 0.8, 0.95), colour(factors.hue + 0.12, 0.7, 0.3)];
  const [cos, sin] = [Math.cos(rotation), Math.sin(rotation)];
  const [lightX, lightY] = [0.22 * Math.cos(light), 0.22 * Math.sin(light)];

  const data = new Uint8Array(size * size * 3);
  for (let row = 0, at = 0; row < size; row++) {
    const v = (row + 0.5) * pixel;
    for (let column = 0; column < size; column++, at += 3) {
      const u = (column + 0.5) * pixel;
      const [dx, dy] = [(u - x) / radius, (v - y) / radius];
      // The shadow falls away from the light and fades outwards.
      const shade = 1 - 0.45 * Math.max(0, 1 - Math.hypot(dx + lightX, dy + lightY) / 1.25);
      const ground = behind(u, v);
      const [a, b] = [(1 - ground) * shade, ground * shade];
      let [red, green, blue] = [a * near[0] + b * far[0], a * near[1] + b * far[1], a * near[2] + b * far[2]];
      if (dx * dx + dy * dy < 1.3) {
        const [ox, oy] = [cos * dx + sin * dy, cos * dy - sin * dx];
        const covered = coverage(distance(ox, oy), pixelInRadii);
        if (covered > 0) {
          const share = texture(ox, oy, period, pixelInRadii);
          const lit = covered * (0.9 + lightX * dx + lightY * dy);
          const rest = 1 - covered;
          red = rest * red + lit * ((1 - share) * first[0] + share * second[0]);
          green = rest * green + lit * ((1 - share) * first[1] + share * second[1]);
          blue = rest * blue + lit * ((1 - share) * first[2] + share * second[2]);
        }
      }
      data[at] = Math.min(255, red * 255 + 0.5);
      data[at + 1] = Math.min(255, green * 255 + 0.5);
      data[at + 2] = Math.min(255, blue * 255 + 0.5);
    }
  }
  return { width: size, height: size, data };
}

/** Hue in turns, saturation and value in [0, 1] → red, green, blue in [0, 1]. */
function colour(hue: number, saturation: number, value: number): Colour {
  const channel = (n: number): number => {
    const k = (n + hue * 6) % 6;
    return value * (1 - saturation * Math.max(0, Math.min(k, 4 - k, 1)));
  };
  return [channel(5), channel(3), channel(1)];
}
