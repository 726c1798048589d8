import { readNumber, UserError } from '../../base/index.js';
import { sha256OfText } from '../../io/index.js';
import type { ImageSource } from '../dataset.js';
import { drawScene } from './scenes-draw.js';
import {
  BACKGROUNDS,
  mostClasses,
  sceneClasses,
  sceneFactors,
  sceneLabel,
  TEXTURES,
  type SceneKinds,
} from './scenes-factors.js';

export const SCENES = 'synthetic:scenes';

/** What `synthetic:scenes?…` may set. */
interface ScenesSpec extends SceneKinds {
  count: number;
  /** Side in pixels; 0: whatever side is asked for, 64 where none is. */
  size: number;
  seed: number;
}

const DEFAULTS: ScenesSpec = {
  count: 10_000,
  size: 0,
  classes: 10,
  textures: TEXTURES.length,
  backgrounds: BACKGROUNDS.length,
  spread: 100,
  seed: 0,
};
const LIMITS: Record<keyof ScenesSpec, [least: number, most: number]> = {
  count: [1, 2 ** 31 - 1],
  size: [8, 2048],
  classes: [1, mostClasses(TEXTURES.length)],
  textures: [1, TEXTURES.length],
  backgrounds: [1, BACKGROUNDS.length],
  spread: [0, 100],
  seed: [0, 2 ** 32 - 1],
};
const USUAL_SIZE = 64;

/**
 * The procedural data set: textured shapes on backgrounds, drawn on demand. Class = shape and texture; hue, place,
 * size, rotation, light and background vary freely and are recorded as factors. Every image is a pure function of
 * (seed, index), so any count and any size cost nothing to keep. `synthetic:scenes?count=5000&size=32&classes=10&seed=1`;
 * `textures=1`, `backgrounds=1` and a small `spread` leave less that varies, which small models learn sooner.
 */
export function openScenes(spec: string): ImageSource {
  const chosen = parseScenes(spec);
  const { count, size, seed, ...kinds } = chosen;
  const draw = (index: number, wanted?: number) =>
    drawScene(sceneFactors(seed, index, kinds), size || (wanted ?? USUAL_SIZE));
  return {
    name: 'scenes',
    count,
    classes: sceneClasses(kinds),
    labels: Int32Array.from({ length: count }, (_, index) => sceneLabel(index, kinds.classes)),
    digest: sha256OfText([`${SCENES} version=1`, ...Object.entries(chosen).map(pair => pair.join('='))].join(' ')),
    imageName: index => `scene ${index}`,
    stored: (index, wanted) => Promise.resolve(draw(index, wanted)),
    factors: index => {
      const { backgroundHue, layout, ...factors } = sceneFactors(seed, index, kinds);
      const places = layout.map((value, i) => [`layout_${i}`, value] as const);
      return { ...factors, background_hue: backgroundHue, ...Object.fromEntries(places) };
    },
  };
}

function parseScenes(spec: string): ScenesSpec {
  const [, query = ''] = spec.split('?', 2);
  const parsed = { ...DEFAULTS };
  for (const [name, text] of new URLSearchParams(query)) {
    if (!Object.hasOwn(DEFAULTS, name))
      throw new UserError(`${spec}: unknown setting '${name}'; ${Object.keys(DEFAULTS).join(', ')} can be set`);
    const value = readNumber(text);
    const [least, most] = LIMITS[name as keyof ScenesSpec];
    if (value === undefined || !Number.isInteger(value) || value < least || value > most)
      throw new UserError(`${spec}: ${name} must be a whole number from ${least} to ${most}, not '${text}'`);
    parsed[name as keyof ScenesSpec] = value;
  }
  const most = mostClasses(parsed.textures);
  if (!query.includes('classes=')) return { ...parsed, classes: Math.min(parsed.classes, most) };
  if (parsed.classes > most)
    throw new UserError(`${spec}: with textures=${parsed.textures}, classes must be at most ${most}`);
  return parsed;
}
