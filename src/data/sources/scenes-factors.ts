import { RandomNumbers } from '../../base/index.js';

export const SHAPES = ['disc', 'square', 'triangle', 'star', 'ring', 'cross', 'moon', 'hexagon'] as const;
export const TEXTURES = ['plain', 'stripes', 'checks', 'dots', 'arcs'] as const;
export const BACKGROUNDS = ['gradient', 'clouds', 'hills', 'tiles'] as const;

export type Shape = (typeof SHAPES)[number];
export type Texture = (typeof TEXTURES)[number];
export type Background = (typeof BACKGROUNDS)[number];

/** Everything that a scene is drawn from. Class = shape and texture; the rest is nuisance. Lengths in image sides. */
export interface SceneFactors {
  shape: Shape;
  texture: Texture;
  /** Of the object, in turns. */
  hue: number;
  x: number;
  y: number;
  /** Radius of the circle around the object. */
  radius: number;
  /** In radians. */
  rotation: number;
  /** Length of one repeat of the texture, in radii. */
  period: number;
  /** Direction that the light comes from, in radians. */
  light: number;
  background: Background;
  backgroundHue: number;
  /** Four free numbers in [0, 1) that the background is laid out by. */
  layout: readonly [number, number, number, number];
}

/** What a data set's scenes are made of. */
export interface SceneKinds {
  classes: number;
  /** The first so many textures. */
  textures: number;
  /** The first so many backgrounds. */
  backgrounds: number;
  /** Per cent of their range that place, size and rotation vary over; at 0 every object stands alike in the middle. */
  spread: number;
}

/** Class c has shape c mod 8 and texture c mod `textures`: so many pairs in a row all differ. */
export function mostClasses(textures: number): number {
  let most = SHAPES.length;
  while (most % textures !== 0) most += SHAPES.length;
  return most;
}

const shapeOf = (label: number): Shape => SHAPES[label % SHAPES.length];
const textureOf = (label: number, textures: number): Texture => TEXTURES[label % textures];

/** `disc-plain`, `square-stripes`, … */
export const sceneClasses = ({ classes, textures }: Pick<SceneKinds, 'classes' | 'textures'>): string[] =>
  Array.from({ length: classes }, (_, label) => `${shapeOf(label)}-${textureOf(label, textures)}`);

/** Classes take turns, so that every part of the set is balanced. */
export const sceneLabel = (index: number, classes: number): number => index % classes;

/** A pure function of seed and index. */
export function sceneFactors(
  seed: number,
  index: number,
  { classes, textures, backgrounds, spread }: SceneKinds,
): SceneFactors {
  const u = new RandomNumbers(seed, 'scenes').at(0, index).uniforms(13);
  const label = sceneLabel(index, classes);
  const share = spread / 100;
  const aroundHalf = (v: number): number => share * v + 0.5 * (1 - share);
  const radius = 0.2 + 0.2 * aroundHalf(u[0]);
  // The object may extend slightly beyond the edge.
  const place = (v: number): number => 0.85 * radius + aroundHalf(v) * (1 - 1.7 * radius);
  const hue = u[1];
  return {
    shape: shapeOf(label),
    texture: textureOf(label, textures),
    hue,
    x: place(u[2]),
    y: place(u[3]),
    radius,
    rotation: 2 * Math.PI * share * u[4],
    period: 0.5 + 0.25 * u[5],
    light: 2 * Math.PI * u[6],
    background: BACKGROUNDS[Math.floor(u[7] * backgrounds)],
    // Never the object's own hue: it must stand out from the background.
    backgroundHue: (hue + 0.2 + 0.6 * u[8]) % 1,
    layout: [u[9], u[10], u[11], u[12]],
  };
}
