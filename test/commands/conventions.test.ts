import { describe, expect, test } from '@jest/globals';
import { maetok } from '../helpers/cli.js';
import { rowsOf } from '../helpers/csv.js';

type Row = Record<string, string>;

async function translated(...words: string[]): Promise<Record<string, Row>> {
  const { code, stdout } = await maetok('conventions', ...words);
  expect(code).toBe(0);
  return Object.fromEntries(rowsOf(stdout).map(row => [row.convention, row]));
}

describe('maetok conventions', () => {
  test('the same setting in each code’s terms: 0 to 0.7 where t = 0 is data is 0.3 to 1 where it is noise', async () => {
    const {
      own,
      maetok: paper,
      repa,
      sit,
      lightningdit,
    } = await translated(...['--from', 'repa', '--guidance', '1.8', '--interval', '0,0.7', '--steps', '250']);
    expect(own).toMatchObject({ data_at: '1', guidance: '1.8', interval_low: '0.3', interval_high: '1', lost: '' });
    expect(paper).toMatchObject({ data_at: '0', interval_low: '0', interval_high: '0.7', lost: '' });
    expect(repa.written).toBe('--cfg-scale 1.8 --guidance-low 0 --guidance-high 0.7 --num-steps 250');
    expect(sit.lost).toMatch(/no guidance interval; it guides 3 channels, this setting all channels/);
    expect(lightningdit).toMatchObject({ interval_low: '0.3', interval_high: '', steps: '251', steps_count: 'points' });
  });

  test('LightningDiT’s points, shift and three channels in ours', async () => {
    const { own } = await translated(
      ...['--from', 'lightningdit', '--guidance', '6.7', '--interval', '0.125,1', '--shift', '0.3', '--steps', '250'],
      ...['--to', 'own'],
    );
    expect(own).toMatchObject({ guidance: '6.7', interval_low: '0.125', shift: '0.3', steps: '249' });
    expect(own.lost).toMatch(/guides all channels, this setting 3/);
  });

  test('a published time shift of 4 towards noise is 4 where t = 0 is data, and 0.25 where it is noise', async () => {
    const { own, lightningdit } = await translated('--from', 'lightningdit', '--shift', '0.25');
    expect([own.shift, own.time_shift, lightningdit.shift, lightningdit.time_shift]).toEqual([
      '0.25',
      '4',
      '0.25',
      '4',
    ]);
    const { maetok: reversed } = await translated('--from', 'repa', '--shift', '4', '--to', 'maetok');
    expect(reversed).toMatchObject({ time_shift: '4', lost: 'it does not shift time' });
  });

  test('a scale s of c + s (c − u) is w − 1', async () => {
    const table = await translated('--from', 'scale-s', '--guidance', '0.5');
    expect([table.own.guidance, table['scale-s'].guidance]).toEqual(['1.5', '0.5']);
  });

  test.each([
    [['--interval', '0.2'], /--interval must be two numbers/],
    [['--interval', '0.8,0.2'], /--interval must go from low to high/],
    [['--from', 'dit'], /--from must be one of own, .*, not .dit./],
    [['--shift', '0'], /--shift must be above 0/],
  ])('refuses %j in one line', async (words, message) => {
    const { code, stderr } = await maetok('conventions', ...words);
    expect(code).toBe(2);
    expect(stderr).toMatch(message);
    expect(stderr.trim().split('\n')).toHaveLength(1);
  });
});
