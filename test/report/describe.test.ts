import { describe, expect, it } from '@jest/globals';
import { describeChart } from '../../src/report/describe.js';
import { parseTable } from '../../src/report/index.js';
import { DARK, PALETTE } from '../../src/report/theme.js';

describe('a chart in words', () => {
  it('says where each line starts, ends and turns', () => {
    const table = parseTable('source,components,nll\nmae,1,9\nmae,5,7\nmae,50,8\nae,1,9\nae,50,10\n', 'nll');
    expect(describeChart(table)).toBe(
      'Line chart of negative log-likelihood (nats per sample) by mixture components: ' +
        'mae falls from 9 at 1 to 8 at 50, lowest 7 at 5; ae rises from 9 at 1 to 10 at 50.',
    );
  });

  it('says bars with their intervals, panel by panel', () => {
    const table = parseTable(
      'source,probe,accuracy,accuracy_low,accuracy_high\nmae,knn,0.5,0.4,0.6\nae,knn,0.3,0.2,0.4\nmae,mlp,0.7,,\n',
      'probe',
    );
    expect(describeChart(table)).toBe(
      'Bar chart of probe accuracy by latent space: knn mae 0.5 (0.4 to 0.6), ae 0.3 (0.2 to 0.4); mlp mae 0.7.',
    );
  });

  it('names many series by their number only', () => {
    const rows = Array.from({ length: 20 }, (_, i) => `s${i},1,2\ns${i},2,3`).join('\n');
    expect(describeChart(parseTable(`source,step,loss\n${rows}\n`, 'loss'))).toMatch(/; and 8 more series\.$/);
  });
});

/** WCAG 2's contrast of two colours. */
function contrast(a: string, b: string): number {
  const luminance = (color: string): number => {
    const [red, green, blue] = [1, 3, 5].map(at => {
      const value = Number.parseInt(color.slice(at, at + 2), 16) / 255;
      return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  };
  const [light, dark] = [luminance(a), luminance(b)].sort((x, y) => y - x);
  return (light + 0.05) / (dark + 0.05);
}

it('every series can be told from the page, light and dark', () => {
  for (const color of PALETTE) expect(contrast(color, '#ffffff')).toBeGreaterThan(3);
  for (const color of DARK) expect(contrast(color, '#14171b')).toBeGreaterThan(3);
  expect(DARK).toHaveLength(PALETTE.length);
});
