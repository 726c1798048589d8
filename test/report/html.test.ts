import { beforeAll, describe, expect, it } from '@jest/globals';
import { htmlReport, markdownTable, parseTable } from '../../src/report/index.js';

const table = parseTable('source,components,nll\n<ae>,1,1.5\n<ae>,5,1.25\n', 'sweep');

describe('the HTML report', () => {
  let html = '';
  beforeAll(async () => {
    html = await htmlReport({
      title: 'A & B',
      subtitle: 'measured <today>',
      question: 'which?',
      answer: ['neither.'],
      wouldChange: ['more "seeds"'],
      sources: ['<ae>'],
      sections: [
        {
          heading: 'Mixtures',
          text: ['lower is <better>'],
          tables: [
            {
              name: 'summary',
              caption: 'all',
              columns: [
                { key: 'source', title: 'space' },
                { key: 'nll', title: 'NLL', better: 'lower' },
              ],
              rows: [{ source: '</script><script>', nll: { value: 1.23456, low: 1.1, high: 1.4, mark: 'best' } }],
            },
          ],
          charts: [{ name: 'nll', caption: 'a chart', table, choice: {} }],
        },
        { heading: 'Samples', pictures: [{ kind: 'grid', caption: 'a "grid"', image: Uint8Array.of(1, 2, 3) }] },
      ],
    });
  });

  it('is self-contained: a policy forbids whatever is not within it', () => {
    expect(html).toMatch(
      /Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; img-src data: blob:; script-src ('sha256-[^']+' ?)+"/,
    );
    expect(html).not.toMatch(/<(script|link|img|iframe)[^>]*(src|href)="?https?:|sourceMappingURL/);
    expect(html).toContain('data:image/png;base64,AQID');
  });

  it('writes whole numbers whole in a table whose rows are of different kinds, and says what is only a bound', async () => {
    const page = await htmlReport({
      ...{ title: '', subtitle: '', question: '', answer: [], wouldChange: [], sources: [] },
      sections: [
        {
          heading: '',
          tables: [
            {
              name: 'further',
              caption: '',
              columns: [
                { key: 'measure', title: 'measure' },
                { key: 'a', title: 'a' },
              ],
              rows: [
                { measure: 'probe', a: { value: 0.51234, low: 0.4, high: 0.6 } },
                { measure: 'rank', a: { value: 128 } },
                { measure: 'components', a: { value: 20, atLeast: true } },
              ],
              rounded: 'by row',
            },
          ],
        },
      ],
    });
    for (const text of ['>0.51<', '>128<', '>≥ 20<']) expect(page).toContain(text);
  });

  it('shows text as text', () => {
    for (const text of ['A &amp; B', 'measured &lt;today&gt;', 'lower is &lt;better&gt;', 'a &quot;grid&quot;'])
      expect(html).toContain(text);
    expect(html).not.toContain('</script><script>');
    expect(html).not.toContain('"<ae>"');
  });

  it('is complete without scripts: charts are drawn and described, cells hold value, interval and mark', () => {
    expect(html).toContain('aria-label="Line chart of');
    expect(html).toContain('&lt;ae&gt; falls from 1.5 at 1 to 1.25 at 5');
    expect(html).toMatch(/<div class="plot"[^>]*><svg/);
    expect(html).toContain('1.23</span> <span class="interval">[1.10, 1.40]');
    expect(html).toContain('★');
  });
});

it('a Markdown table rounds for people and marks what is missing', () => {
  const one = parseTable('source,nll\na|b,1.234567\n<ae>,\n', 'sweep');
  expect(markdownTable(one)).toBe('| source | nll |\n| --- | --- |\n| a\\|b | 1.235 |\n| <ae> | – |');
});
