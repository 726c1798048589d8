import { describe, expect, test } from '@jest/globals';
import { chartOf, filter, leftOut, parseTable, renderSvg, stack } from '../../src/report/index.js';

const column = (text: string, name: string) => parseTable(text, 't').rows.map(row => row[name]);

describe('a column of a CSV table', () => {
  test.each([
    ['1,inf,-Infinity,2.5', [1, Infinity, -Infinity, 2.5]],
    ['1,NaN,nan,NA,N/A,None,null,#N/A,1e3', [1, NaN, NaN, NaN, NaN, NaN, NaN, NaN, 1000]],
    ['1,,2', [1, null, 2]],
    ['inf,Inf', [Infinity, Infinity]],
    ['.5,5.,1E-4,+3', [0.5, 5, 1e-4, 3]],
    ['none,10', ['none', '10']],
    ['1,oom', ['1', 'oom']],
    ['007,008', ['007', '008']],
    ['0x10,1_000', ['0x10', '1_000']],
    ['True,FALSE,', ['true', 'false', null]],
    ['a,nan', ['a', null]],
  ])('%s', (cells, expected) => {
    expect(
      column(
        `name,v\n${cells
          .split(',')
          .map((cell, i) => `${i},${cell}`)
          .join('\n')}\n`,
        'v',
      ),
    ).toEqual(expected);
  });

  test('a thousand written with a comma is a word: elsewhere it is a decimal', () => {
    expect(column('a,v\nx,"1,234"\n', 'v')).toEqual(['1,234']);
  });
});

describe('tables as others write them', () => {
  test('pandas and R: row names under no name', () => {
    expect(parseTable(',nll\n0,1.5\n1,2.5\n', 't').columns).toEqual(['index', 'nll']);
    expect(parseTable('"","nll"\n"mae",NA\n"ae",2.5\n', 't').rows).toEqual([
      { index: 'mae', nll: NaN },
      { index: 'ae', nll: 2.5 },
    ]);
  });

  test('a spreadsheet: byte order mark, CRLF, semicolons, decimal commas, empty rows', () => {
    expect(parseTable('\ufeffname;v\r\na;1,5\r\nb;-2\r\n;\r\n', 't').rows).toEqual([
      { name: 'a', v: 1.5 },
      { name: 'b', v: -2 },
    ]);
  });

  test('a spreadsheet: UTF-16 and tabs', () => {
    const bytes = Buffer.from('\ufeffname\tv\r\nä\t2\r\n', 'utf16le');
    expect(parseTable(bytes, 't').rows).toEqual([{ name: 'ä', v: 2 }]);
  });

  test('blanks after commas', () => {
    expect(parseTable('a, b\nx, 2\n', 't').rows).toEqual([{ a: 'x', b: 2 }]);
  });

  test('two columns of one name are refused', () => {
    expect(() => parseTable('a,a\n1,2\n', 't')).toThrow("t: two columns are called 'a'");
  });
});

describe('rows of a kind', () => {
  const table = parseTable("metric,k's,value,ok\nfid,1e3,2.5,True\npsnr,10,inf,False\nssim,10,oom,False\n", 't');

  test.each([
    ['metric=fid', ['fid']],
    ["k's=1000", ['fid']],
    ['value=inf', ['psnr']],
    ["k's=10,value=Infinity", []],
    ['ok=False', ['psnr', 'ssim']],
  ])('%s', (conditions, metrics) => {
    const rows = metrics.length > 0 ? filter(table, conditions).rows : [];
    expect(rows.map(row => row.metric)).toEqual(metrics);
  });

  test('a column is judged by the rows that are left', () => {
    expect(filter(table, 'metric=fid').rows[0].value).toBe(2.5);
  });

  test('a condition on no column is refused', () => {
    expect(() => filter(table, 'metrics=fid')).toThrow('--where metrics=fid: write column=value with one of metric');
  });

  test('tables under each other share the kind of a column', () => {
    const [a, b] = [parseTable('step,v\n1,NA\n', 'a'), parseTable('step,v\n1,2\n', 'b')];
    expect(stack([a, b]).rows.map(({ v }) => v)).toEqual([NaN, 2]);
  });
});

describe('charts of what is not finite', () => {
  const lines = (svg: string): string[] =>
    [...svg.matchAll(/aria-roledescription="line mark"[^>]* d="([^"]*)"/g)].map(([, path]) => path);

  test('a line has a gap where nothing finite was measured, none where a cell is empty', async () => {
    const gap = await renderSvg(chartOf(parseTable('step,loss\n1,4\n2,3\n3,nan\n4,2\n5,1\n', 't')));
    expect(lines(gap)[0].match(/M/g)).toHaveLength(2);
    const empty = await renderSvg(chartOf(parseTable('step,loss\n1,4\n2,3\n3,\n4,2\n5,1\n', 't')));
    expect(lines(empty)[0].match(/M/g)).toHaveLength(1);
  });

  test('a bar is absent, its place is not', async () => {
    const table = parseTable('name,psnr\nfirst,20\nperfect,inf\n', 't');
    const svg = await renderSvg(chartOf(table, { kind: 'bar', x: 'name', y: 'psnr' }));
    expect(svg.match(/aria-roledescription="bar"/g)).toHaveLength(1);
    expect(svg).toContain('>perfect<');
  });

  test('how many points are left out is reported', () => {
    const table = parseTable('step,loss\n1,4\n2,inf\n3,nan\n4,0\n5,\n', 't');
    expect(leftOut(table)).toBe('2 of 4 points are not drawn: step or loss is Infinity, NaN there');
    expect(leftOut(table, { logY: true })).toMatch(/^3 of 4 points/);
    expect(leftOut(parseTable('step,loss\n1,4\n', 't'))).toBeUndefined();
  });

  test('words instead of numbers are named', () => {
    const table = parseTable('step,loss\n1,4\n2,oom\n', 't');
    expect(() => chartOf(table, { x: 'step', y: 'loss' })).toThrow("column 'loss' holds no numbers ('oom')");
  });

  test.each(["k's", 'a.b', 'x[0]', 'nll/dim', 'größe', 'with "quotes"', 'a b', '\\', '__proto__', 'datum'])(
    'a column may be called %s',
    async name => {
      const head = [name, 'y', 'g'].map(column => `"${column.replaceAll('"', '""')}"`).join(',');
      const table = parseTable(`${head}\n1,2,it's\n2,3,it's\n`, 't');
      for (const choice of [
        { x: name, y: 'y', color: 'g' },
        { x: 'y', y: name, facet: 'g' },
        { x: 'g', y: 'y', color: name },
      ])
        expect((await renderSvg(chartOf(table, { ...choice, kind: 'line' }))).match(/="point"/g)).toHaveLength(2);
    },
  );
});
