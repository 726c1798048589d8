import { UserError } from '../../base/index.js';
import { sha256OfText } from '../../io/index.js';
import type { ImageSource } from '../dataset.js';
import { drawScene } from './scenes-draw.js';
import { MOST_CLASSES, sceneClasses, sceneFactors, sceneLabel } from './scenes-factors.js';

export const SCENES = 'synthetic:scenes';

/** What `synthetic:scenes?…` may set. */
interface ScenesSpec {
  count: number;
  /** Side in pixels; 0: whatever side is asked for, 64 where none is. */
  size: number;
  classes: number;
  seed: number;
}

const DEFAULTS: ScenesSpec = { count: 10_000, size: 0, classes: 10, seed: 0 };
const LIMITS: Record<keyof ScenesSpec, [least: number, most: number]> = {
  count: [1, 2 ** 31 - 1],
  size: [8, 2048],
  classes: [1, MOST_CLASSES],
  seed: [0, 2 ** 32 - 1],
};
const USUAL_SIZE = 64;

/**
 * The procedural data set: textured shapes on backgrounds, drawn on demand. Class = shape and texture; hue, place,
 * size, rotation, light and background vary freely and are recorded as factors. Every picture is a pure function of
 * (seed, index), so any count and any size cost nothing to keep. `synthetic:scenes?count=5000&size=32&classes=10&seed=1`
 */
export function openScenes(spec: string): ImageSource {
  const { count, size, classes, seed } = parseScenes(spec);
  const draw = (index: number, wanted?: number) =>
    drawScene(sceneFactors(seed, index, classes), size || (wanted ?? USUAL_SIZE));
  return {
    name: 'scenes',
    count,
    classes: sceneClasses(classes),
    labels: Int32Array.from({ length: count }, (_, index) => sceneLabel(index, classes)),
    digest: sha256OfText(`${SCENES} version=1 count=${count} size=${size} classes=${classes} seed=${seed}`),
    pictureName: index => `scene ${index}`,
    stored: (index, wanted) => Promise.resolve(draw(index, wanted)),
    factors: index => {
      const { backgroundHue, layout, ...factors } = sceneFactors(seed, index, classes);
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
    const value = Number(text);
    const [least, most] = LIMITS[name as keyof ScenesSpec];
    if (text === '' || !Number.isInteger(value) || value < least || value > most)
      throw new UserError(`${spec}: ${name} must be a whole number from ${least} to ${most}, not '${text}'`);
    parsed[name as keyof ScenesSpec] = value;
  }
  return parsed;
}
