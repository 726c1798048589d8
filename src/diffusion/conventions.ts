import type { Guidance } from './guidance.js';
import type { ConventionName } from './names.js';
import { OWN_OBJECTIVE, type Objective } from './objective.js';

/** How one published code counts time and guidance. */
export interface Convention {
  /** Description in one line. */
  describe: string;
  objective: Objective;
  /** `w`: u + w (c − u). `s`: c + s (c − u), which is w = 1 + s. */
  scale: 'w' | 's';
  /** Channels that its samplers guide; absent: all. */
  guidedChannels?: number;
  /** Whether its guidance interval has both ends, only a start, or is not offered. */
  interval: 'both' | 'start' | 'none';
  /** Whether its samplers shift time. */
  shift: boolean;
  /** What `steps` counts: steps, or grid points, which are one more. */
  steps: 'steps' | 'points';
  /** Added to 127.5 x before truncation to 8 bits. */
  pixelOffset: 128 | 127.5;
  /** A setting in its terms, as its command line or configuration spells it. */
  written: (terms: SamplingTerms) => string;
}

const REVERSED: Objective = { ...OWN_OBJECTIVE, time: 'data-to-noise' };

const ownFlags = ({ guidance, interval, shift, steps }: SamplingTerms): string =>
  `--guidance ${guidance} --interval ${interval.join(',')} --shift ${shift} --steps ${steps}`;
/** MAETok's scripts are made from REPA's. */
const repaFlags = ({ guidance, interval: [low, high], steps }: SamplingTerms): string =>
  `--cfg-scale ${guidance} --guidance-low ${low} --guidance-high ${high} --num-steps ${steps}`;
/** SiT's and GFT's scripts are made from DiT's. */
const ditFlags = ({ guidance, steps }: SamplingTerms): string =>
  `--cfg-scale ${guidance} --num-sampling-steps ${steps}`;

/** Ours first, then the published codes. */
export const CONVENTIONS = {
  own: {
    describe: 'this project: t = 0 noise, t = 1 data; guidance on all channels',
    objective: OWN_OBJECTIVE,
    scale: 'w',
    interval: 'both',
    shift: true,
    steps: 'steps',
    pixelOffset: 128,
    written: ownFlags,
  },
  maetok: {
    describe: 'MAETok and SoftVQ (Hhhhhhao/continuous_tokenizer): t = 0 data',
    objective: REVERSED,
    scale: 'w',
    interval: 'both',
    shift: false,
    steps: 'steps',
    pixelOffset: 127.5,
    written: repaFlags,
  },
  sit: {
    describe: 'SiT (willisma/SiT): t = 0 noise; three channels guided',
    objective: OWN_OBJECTIVE,
    scale: 'w',
    guidedChannels: 3,
    interval: 'none',
    shift: false,
    steps: 'points',
    pixelOffset: 128,
    written: ditFlags,
  },
  lightningdit: {
    describe: 'LightningDiT and VA-VAE (hustvl/LightningDiT): t = 0 noise; three channels guided from a time on',
    objective: OWN_OBJECTIVE,
    scale: 'w',
    guidedChannels: 3,
    interval: 'start',
    shift: true,
    steps: 'points',
    pixelOffset: 128,
    written: ({ guidance, interval: [start], shift, steps }) =>
      `cfg_scale: ${guidance}, cfg_interval_start: ${start}, timestep_shift: ${shift}, num_sampling_steps: ${steps}`,
  },
  repa: {
    describe: 'REPA (sihyun-yu/REPA): t = 0 data; guidance on all channels within an interval',
    objective: REVERSED,
    scale: 'w',
    interval: 'both',
    shift: false,
    steps: 'steps',
    pixelOffset: 127.5,
    written: repaFlags,
  },
  rae: {
    describe: 'RAE (bytetriper/RAE): t = 0 data; guidance on all channels within an interval',
    objective: REVERSED,
    scale: 'w',
    interval: 'both',
    shift: true,
    steps: 'points',
    pixelOffset: 127.5,
    written: ({ guidance, interval: [low, high], shift, steps }) =>
      `guidance: {method: cfg, scale: ${guidance}, t-min: ${low}, t-max: ${high}}, num_steps: ${steps}, time shift: ${shift}`,
  },
  gft: {
    describe: 'guidance-free DiT (thu-ml/GFT): DDPM’s steps 0 … 999 from data to noise; the scale is an input',
    objective: { path: 'ddpm', prediction: 'noise', time: 'data-to-noise', timeScale: 999 },
    scale: 'w',
    interval: 'none',
    shift: false,
    steps: 'steps',
    pixelOffset: 128,
    written: ditFlags,
  },
  'scale-s': {
    describe: 'papers that write c + s (c − u), such as the first one on classifier-free guidance: s = w − 1',
    objective: OWN_OBJECTIVE,
    scale: 's',
    interval: 'both',
    shift: true,
    steps: 'steps',
    pixelOffset: 128,
    written: terms => `${ownFlags(terms)} --convention scale-s`,
  },
} satisfies Record<ConventionName, Convention>;

/** A user's sampling setting, in the terms of one convention. */
export interface SamplingTerms {
  guidance: number;
  /** Ends of the guidance interval, as that convention counts time. */
  interval: [number, number];
  /** Time shift; 1 is none. */
  shift: number;
  steps: number;
}

/** A setting in our own terms. */
export interface InnerTerms extends SamplingTerms {
  channels?: number | undefined;
}

/** Turns an interval of reversed time around; twice is the identity, but for the last digit of a double. */
function reversed([low, high]: [number, number]): [number, number] {
  return [tidied(1 - high), tidied(1 - low)];
}

const tidied = (value: number): number => Number(value.toPrecision(15));

const isReversed = ({ objective }: Convention): boolean => objective.time === 'data-to-noise';

/** From the terms of a published code to ours. */
export function toInner(name: ConventionName, { guidance, interval, shift, steps }: SamplingTerms): InnerTerms {
  const convention: Convention = CONVENTIONS[name];
  return {
    guidance: convention.scale === 's' ? tidied(1 + guidance) : guidance,
    interval: isReversed(convention) ? reversed(interval) : interval,
    // In reversed time t → s t / (1 + (s − 1) t) is the same map with 1/s.
    shift: isReversed(convention) ? tidied(1 / shift) : shift,
    steps: convention.steps === 'points' ? steps - 1 : steps,
    channels: convention.guidedChannels,
  };
}

/** A setting of ours in another code's terms, and what that code cannot say of it. */
export function toConvention(
  name: ConventionName,
  { guidance, interval, shift, steps, channels }: InnerTerms,
): SamplingTerms & { channels: number | undefined; lost: string[] } {
  const convention: Convention = CONVENTIONS[name];
  const lost: string[] = [];
  if (convention.interval === 'none' && !isWhole(interval)) lost.push('it has no guidance interval');
  if (convention.interval === 'start' && interval[1] < 1) lost.push('its interval has no end');
  if (!convention.shift && shift !== 1) lost.push('it does not shift time');
  if (guidance !== 1 && convention.guidedChannels !== channels)
    lost.push(`it guides ${shownChannels(convention.guidedChannels)}, this setting ${shownChannels(channels)}`);
  return {
    guidance: convention.scale === 's' ? tidied(guidance - 1) : guidance,
    interval: isReversed(convention) ? reversed(interval) : interval,
    shift: isReversed(convention) ? tidied(1 / shift) : shift,
    steps: convention.steps === 'points' ? steps + 1 : steps,
    channels: convention.guidedChannels,
    lost,
  };
}

const isWhole = ([low, high]: [number, number]): boolean => low <= 0 && high >= 1;
const shownChannels = (channels: number | undefined): string =>
  channels === undefined ? 'all channels' : `${channels} channels`;

/** A setting in the form that our samplers take. */
export function guidanceOf({ guidance, interval, channels }: InnerTerms, rescale: number): Guidance {
  return { scale: guidance, interval, channels, rescale };
}
