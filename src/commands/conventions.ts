import { z } from 'zod';
import type { Convention } from '../diffusion/index.js';
import { guidanceInterval } from '../jobs/sample/options.js';
import { CONVENTION_NAMES } from '../diffusion/names.js';
import { defineCommand } from './command.js';
import { count, nonNegative, positive } from '../base/options.js';
import { common, force, outFile } from './options.js';
import { writeTable } from './table.js';

const options = z.object({
  from: z.enum(CONVENTION_NAMES).default('own').describe('the code whose convention the setting follows'),
  to: z.enum(CONVENTION_NAMES).optional().describe('the code to translate it for; default: all'),
  guidance: nonNegative.default(1).describe('guidance scale'),
  interval: guidanceInterval.default([0, 1]).describe('time interval in which guidance is applied'),
  shift: positive.default(1).describe('time shift, as that code’s time runs'),
  steps: count.default(50).describe('number of steps, as counted by that code'),
  guidedChannels: count.optional().describe('number of guided channels; default: as in that code'),
  out: outFile,
  force,
  ...common,
});

const COLUMNS = [
  ...['convention', 'data_at', 'guidance', 'interval_low', 'interval_high', 'guided_channels', 'shift'],
  ...['time_shift', 'steps', 'steps_count', 'pixel_offset', 'written', 'lost', 'about'],
];

export const conventions = defineCommand({
  name: 'conventions',
  describe:
    'Translates a sampling setting into the convention of each published code: direction of time, scale, channels.',
  examples: [
    ['maetok conventions --guidance 1.8 --interval 0.3,1', 'from this project’s convention to all others'],
    [
      'maetok conventions --from repa --guidance 1.8 --interval 0,0.7 --to own',
      'REPA’s best setting in this project’s convention',
    ],
    [
      'maetok conventions --from lightningdit --guidance 6.7 --interval 0.125,1 --shift 0.3 --steps 250',
      'the setting of the published weights',
    ],
  ],
  options,
  async run(chosen, _inputs, context) {
    const { CONVENTIONS, shiftOf, toConvention, toInner } = await import('../diffusion/index.js');
    const { guidedChannels: channels } = chosen;
    const inner = { ...toInner(chosen.from, chosen), ...(channels !== undefined && { channels }) };
    const names = chosen.to === undefined ? CONVENTION_NAMES : [chosen.to];
    const rows = names.map(name => {
      const convention: Convention = CONVENTIONS[name];
      const terms = toConvention(name, inner);
      return {
        convention: name,
        data_at: convention.objective.time === 'noise-to-data' ? convention.objective.timeScale : 0,
        guidance: terms.guidance,
        interval_low: convention.interval === 'none' ? null : terms.interval[0],
        interval_high: convention.interval === 'both' ? terms.interval[1] : null,
        guided_channels: terms.channels ?? 'all',
        shift: convention.shift ? terms.shift : null,
        // As papers give it, whatever the code's time: above 1 towards noise.
        time_shift: shiftOf(inner.shift),
        steps: terms.steps,
        steps_count: convention.steps,
        pixel_offset: convention.pixelOffset,
        written: convention.written(terms),
        lost: terms.lost.join('; '),
        about: convention.describe,
      };
    });
    await writeTable(context, COLUMNS, rows, { ...chosen, protocol: { command: 'conventions', argv: context.argv } });
  },
});
