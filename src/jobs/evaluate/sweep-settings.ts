import { camel, UserError } from '../../base/index.js';
import { sampleOptions, type SampleOptions } from '../sample/options.js';

/** Options of `maetok sample` that a sweep may set; the others belong to `evaluate` or depend on the setting. */
const SWEPT = sampleOptions.omit({
  tokenizer: true,
  out: true,
  num: true,
  batchSize: true,
  npz: true,
  grid: true,
  gridNum: true,
  trajectory: true,
  resume: true,
  force: true,
});
type Swept = keyof typeof SWEPT.shape;
const isInterval = (option: Swept): boolean => option === 'interval' || option === 'internalInterval';
const ALIASES: Record<string, Swept> = { cfg: 'guidance' };

/** One way of sampling. */
export interface SweepSetting {
  /** `cfg=1.5 interval=0.2:0.8`: what tables and resumed sweeps know it by. */
  name: string;
  /** The setting as the name of a folder. */
  folder: string;
  /** Whether a guidance scale is not the one at which the output is the conditional one. */
  guided: boolean;
  options: Pick<SampleOptions, Swept>;
}

interface Axis {
  key: string;
  option: Swept;
  values: string[];
}

export interface SweepSettings {
  settings: SweepSetting[];
  /** Options with several values. */
  varied: string[];
  /** The first setting without its guidance, where all settings are guided: what they are to be compared with. */
  unguided?: SweepSetting | undefined;
}

/**
 * Reads `cfg=1:3:0.25,interval=0:1|0.2:0.8,steps=25`: options of `maetok sample`, each with one value, several between
 * bars or a range first:last:step; every combination is a setting, the first option varying slowest.
 */
export function parseSweep(spec: string): SweepSettings {
  const axes = spec.split(',').map(clause => axisOf(spec, clause.trim()));
  const twice = axes.find(({ option }, i) => axes.findIndex(axis => axis.option === option) !== i);
  if (twice) throw new UserError(`--sweep ${spec}: sets ${twice.key} twice`);
  const combinations = axes.reduce<string[][]>(
    (all, { values }) => all.flatMap(chosen => values.map(value => [...chosen, value])),
    [[]],
  );
  const settings = combinations.map(values => settingOf(spec, axes, values));
  return {
    settings,
    unguided: settings.every(({ guided }) => guided) ? unguidedOf(spec, axes, settings[0]) : undefined,
    varied: axes.filter(({ values }) => values.length > 1).map(({ option }) => option),
  };
}

function axisOf(spec: string, clause: string): Axis {
  const [key, given] = clause.split(/=(.*)/s);
  const option = ALIASES[key] ?? camel(key);
  if (!Object.hasOwn(SWEPT.shape, option) || !given)
    throw new UserError(
      `--sweep ${spec}: '${clause}' is not one of cfg=, interval=, ${Object.keys(SWEPT.shape).slice(3).join('=, ')}= with a value ` +
        '(1.5, 1|2|4 or first:last:step; of an interval low:high)',
    );
  const values = given.split('|').flatMap(word => (isInterval(option) ? [word] : range(spec, word)));
  return { key, option, values };
}

const MOST_VALUES = 1000;

function range(spec: string, word: string): string[] {
  const numbers = word.split(':').map(Number);
  if (numbers.length !== 3 || !numbers.every(Number.isFinite)) return [word];
  const [first, last, step] = numbers;
  const count = Math.floor((last - first) / step + 1 + 1e-9);
  if (!(count >= 1 && count <= MOST_VALUES))
    throw new UserError(`--sweep ${spec}: ${word} has no values; a range is first:last:step, e.g. 1:3:0.25`);
  return Array.from({ length: count }, (_, i) => String(Number((first + i * step).toPrecision(12))));
}

function unguidedOf(spec: string, axes: readonly Axis[], { options }: SweepSetting): SweepSetting {
  const off: Axis = { key: 'guidance', option: 'guidance', values: [String(noGuidance(options))] };
  const others = axes.filter(({ option }) => option !== 'internalGuidance' && option !== 'internalInterval');
  const isSet = others.some(({ option }) => option === 'guidance');
  const all = isSet
    ? others.map(axis => (axis.option === 'guidance' ? { ...off, key: axis.key } : axis))
    : [...others, off];
  return settingOf(
    spec,
    all,
    all.map(({ values }) => values[0]),
  );
}

/** The scale at which a convention's output is the conditional one. */
const noGuidance = ({ convention }: SweepSetting['options']): number => (convention === 'scale-s' ? 0 : 1);

function isGuided(options: SweepSetting['options']): boolean {
  const none = noGuidance(options);
  return [options.guidance, options.internalGuidance ?? none].some(scale => scale !== none);
}

function settingOf(spec: string, axes: readonly Axis[], values: readonly string[]): SweepSetting {
  const given = Object.fromEntries(
    axes.map(({ option }, i) => [option, isInterval(option) ? values[i].replace(':', ',') : values[i]]),
  );
  const outcome = SWEPT.strict().safeParse(given);
  if (!outcome.success) {
    const [{ path, message }] = outcome.error.issues;
    throw new UserError(`--sweep ${spec}: ${String(path[0])} ${message}`);
  }
  const words = axes.map(({ key }, i) => `${key}=${values[i]}`);
  return {
    name: words.join(' '),
    folder: words.map(word => word.replace(/[^\w.-]+/g, '-')).join('_'),
    guided: isGuided(outcome.data),
    options: outcome.data,
  };
}
