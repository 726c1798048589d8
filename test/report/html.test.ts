import { describe, expect, it } from '@jest/globals';
import { htmlReport, markdownTable, parseTable } from '../../src/report/index.js';

const table = parseTable('source,nll\na|b,1.234567\n<ae>,\n', 'sweep');

describe('the HTML report', () => {
  const html = htmlReport({
    title: 'A & B',
    subtitle: 'measured <today>',
    sections: [
      { heading: 'Mixtures', text: ['lower is <better>'], charts: ['<svg id="chart"></svg>'], table },
      { heading: 'Samples', images: [{ caption: 'a "grid"', png: Uint8Array.of(1, 2, 3) }] },
    ],
  });

  it('is self-contained: nothing is fetched, no script runs', () => {
    expect(html).not.toMatch(/<script|https?:\/\//);
    expect(html).toContain('data:image/png;base64,AQID');
    expect(html).toContain('<svg id="chart"></svg>');
  });

  it('shows text as text', () => {
    for (const text of [
      'A &amp; B',
      'measured &lt;today&gt;',
      'lower is &lt;better&gt;',
      '&lt;ae&gt;',
      'a &quot;grid&quot;',
    ])
      expect(html).toContain(text);
  });
});

it('a Markdown table rounds for people and marks what is missing', () => {
  expect(markdownTable(table)).toBe('| source | nll |\n| --- | --- |\n| a\\|b | 1.235 |\n| <ae> | – |');
});
