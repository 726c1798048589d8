import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { maetok, maetokWith } from '../helpers/cli.js';
import { tempFolder } from '../helpers/temp.js';

const folder = tempFolder();

function csv(name: string, text: string, protocol?: Record<string, unknown>): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  if (protocol) writeFileSync(`${path}.protocol.json`, JSON.stringify(protocol));
  return path;
}

const SWEEP = `source,components,nll,converged
mae,10,90.5,true
mae,50,88.25,true
ae,10,99.5,true
ae,50,98.75,false
`;

describe('maetok plot', () => {
  it('draws a mixture sweep from a pipe, one line per source', async () => {
    const { code, stdout } = await maetokWith({ stdin: SWEEP }, 'plot');
    expect(code).toBe(0);
    expect(stdout).toMatch(/^<svg/);
    for (const word of ['mae', 'ae', 'mixture components', 'negative log-likelihood']) expect(stdout).toContain(word);
    expect(stdout.match(/aria-roledescription="line mark"/g)).toHaveLength(2);
  });

  it('tells controls from the real rows by dashes, each with its own interval', async () => {
    const row = (control: string, k: number, nll: number): string =>
      `mae,${control},${k},${nll},${nll - 1},${nll + 1}\n`;
    const kinds = ['none', 'surrogate', 'permutation'];
    const rows = [1, 2, 3].flatMap(k => kinds.map((control, i) => row(control, k, 50 + 2 * i - k)));
    const stdin = `source,control,components,nll,nll_low,nll_high\n${rows.join('')}`;
    const { stdout } = await maetokWith({ stdin }, 'plot');
    expect(stdout.match(/aria-roledescription="line mark"/g)).toHaveLength(3);
    expect(stdout.match(/aria-roledescription="area mark"/g)).toHaveLength(3);
    for (const kind of kinds) expect(stdout).toContain(kind);
  });

  it('never adds up the accuracies of one source: a panel per feature, none above 1', async () => {
    const stdin = 'source,feature,probe,accuracy\nmae,flattened,knn,0.8\nmae,mean,knn,0.7\n';
    const { stdout } = await maetokWith({ stdin }, 'plot');
    for (const feature of ['flattened', 'mean']) expect(stdout).toContain(`>${feature}<`);
    expect(stdout).not.toMatch(/>1\.[0-9]</);
  });

  it('leaves no more margin than its text needs', async () => {
    const { stdout } = await maetokWith({ stdin: SWEEP }, 'plot');
    const [, width, height] = /width="(\d+)" height="(\d+)"/.exec(stdout)!.map(Number);
    // A panel of 460 × 300, an axis and its title on two sides, a legend on the third.
    expect([width < 650, height < 365]).toEqual([true, true]);
  });

  it('overlays tables under the names they are given', async () => {
    const a = csv('a.csv', 'step,loss\n1,2\n2,1\n');
    const b = csv('b.csv', 'step,loss\n1,3\n2,2\n');
    const { stdout } = await maetok('plot', `ours=${a}`, `theirs=${b}`);
    expect(stdout).toContain('ours');
    expect(stdout).toContain('theirs');
  });

  it('calls tables that are called alike after their folders', async () => {
    const files = ['mae', 'ae'].map(run => {
      mkdirSync(join(folder, run, 'sit'), { recursive: true });
      return csv(join(run, 'sit', 'loss.csv'), 'step,loss\n1,2\n2,1\n');
    });
    const other = csv('other.csv', 'step,loss\n1,3\n2,2\n');
    const { stdout } = await maetok('plot', ...files, other);
    expect(stdout).toMatch(/>mae<.*>ae<.*>other</s);
    const { code, stderr } = await maetok('plot', files[0], files[0]);
    expect([code, stderr]).toEqual([2, 'maetok: two inputs are called loss; name them apart: a=PATH b=PATH\n']);
  });

  it('writes SVG and PNG, and overwrites neither', async () => {
    const [svg, png] = [join(folder, 'sweep.svg'), join(folder, 'sweep.png')];
    const sweep = csv('sweep.csv', SWEEP);
    expect((await maetok('plot', sweep, '--out', `${svg},${png}`)).code).toBe(0);
    expect(readFileSync(svg, 'utf8')).toMatch(/^<svg/);
    expect(readFileSync(png).subarray(1, 4).toString()).toBe('PNG');
    const again = await maetok('plot', sweep, '--out', svg);
    expect(again.code).toBe(1);
    expect(again.stderr).toMatch(/already exists.*--force/);
  });

  it('warns of losses of networks that were trained at different times', async () => {
    const run = (name: string, options: string): string => {
      mkdirSync(join(folder, name));
      writeFileSync(join(folder, name, 'config.yaml'), `model: sit-s\noptions: { ${options} }\n`);
      writeFileSync(join(folder, name, 'run.json'), '{}');
      return csv(join(name, 'loss.csv'), 'step,loss\n1,2\n2,1\n');
    };
    const [plain, same, shifted] = [
      run('plain', 'patch: 1'),
      run('same', 'patch: 2'),
      run('shifted', 'timeShift: auto'),
    ];
    const measured = csv('later.csv', 'step,loss\n1,3\n', {
      trained: { times: 'uniform', time_shift: 'none' },
      seed: 0,
    });
    const { code, stderr } = await maetok('plot', plain, shifted);
    expect({ code, stderr }).toMatchObject({
      code: 0,
      stderr: expect.stringMatching(/trained differently: time_shift is "none" in the former and "auto" in the latter/),
    });
    for (const other of [same, measured]) expect((await maetok('plot', plain, other)).stderr).not.toMatch(/trained/);
  });

  it('refuses tables that were measured differently, naming the field', async () => {
    const a = csv('crop-a.csv', 'step,loss\n1,2\n', { crop: 'adm', seed: 0 });
    const b = csv('crop-b.csv', 'step,loss\n1,3\n', { crop: 'random', seed: 0 });
    const { code, stderr } = await maetok('plot', a, b);
    expect(code).toBe(2);
    expect(stderr).toMatch(/crop is "adm" in the former and "random" in the latter/);
    expect((await maetok('plot', a, b, '--force')).code).toBe(0);
  });

  it('refuses tables of images that were decoded differently', async () => {
    const pillow = { exif: 'ignore', alpha: 'drop', grey16: 'clip' };
    const a = csv('pillow.csv', 'step,loss\n1,2\n', { decoding: pillow });
    const b = csv('turned.csv', 'step,loss\n1,3\n', { decoding: { ...pillow, exif: 'turn' } });
    const { code, stderr } = await maetok('plot', a, b);
    expect([code, stderr]).toEqual([
      2,
      expect.stringMatching(/decoding\.exif is "ignore" in the former and "turn" in/),
    ]);
    const none = csv('no-images.csv', 'step,loss\n1,3\n', { decoding: null });
    expect((await maetok('plot', a, none)).stderr).toMatch(/decoding.* is .* in the former and .* in the latter/);
  });

  it('draws only the rows asked for', async () => {
    const table = csv('splits.csv', 'step,split,loss\n1,train,5\n1,heldout,7\n2,train,4\n2,heldout,6\n');
    const { stdout } = await maetok('plot', table, '--where', 'split=heldout');
    expect(stdout).not.toContain('strokeDash');
    expect((await maetok('plot', table, '--where', 'split=test')).stderr).toMatch(/no row .* matches/);
  });

  it('draws held-out losses with averaged weights after the last step of each run, and says so', async () => {
    const parts = ['train', 'heldout'].flatMap(split => ['raw', 'ema'].map(weights => `${split},${weights}`));
    const losses = (...steps: number[]): string =>
      [
        'step,split,weights,bin,t,loss,loss_per_dim,excess',
        ...steps.flatMap(step =>
          parts.flatMap((part, i) => [
            ...[0.25, 0.75].map((t, bin) => `${step},${part},${bin},${t},${t + i},${t + i},${t}`),
            `${step},${part},all,,${i},${i},1`,
          ]),
        ),
      ].join('\n');
    const [mae, ae] = [csv('mae.csv', losses(5, 10)), csv('ae.csv', losses(5, 20))];
    const lines = (svg: string): number => svg.match(/aria-roledescription="line mark"/g)?.length ?? 0;
    const both = await maetok('plot', mae, ae, '--y', 'excess');
    expect([both.code, lines(both.stdout)]).toEqual([0, 2]);
    expect(both.stderr).toContain('drawn: split=heldout, weights=ema, step=10 and 20 (the last);');
    const one = await maetok('plot', mae);
    expect([lines(one.stdout), one.stderr]).toEqual([2, expect.not.stringContaining('step=')]);
    const splits = await maetok('plot', mae, ae, '--dash', 'split');
    expect([lines(splits.stdout), splits.stderr]).toEqual([4, expect.not.stringContaining('split=')]);
    const byStep = await maetok('plot', mae, ae, '--x', 'step', '--where', 'split=train');
    expect([lines(byStep.stdout), byStep.stderr]).toEqual([2, expect.stringContaining('drawn: weights=ema, bin=all;')]);
  });

  it('gives each of several x columns a panel and an axis of its own, with the names at the points', async () => {
    const table = csv(
      'summary.csv',
      'source,gain,viv,viv_low,viv_high,generation\nmae,5,0.1,0.05,0.2,9\nvae,90,0.3,0.2,0.4,12\n',
    );
    const flags = ['--kind', 'points', '--x', 'gain,viv', '--y', 'generation', '--color', 'source'];
    const { code, stdout } = await maetok('plot', table, ...flags);
    expect(code).toBe(0);
    for (const word of ['gain', 'viv']) expect(stdout).toContain(`>${word}</text>`);
    expect(stdout.match(/>mae<\/text>/g)!.length).toBeGreaterThanOrEqual(2);
    // Ninety has no place on the other panel's axis.
    expect(stdout.match(/>0\.30<\/text>/g)).toHaveLength(1);
    expect((await maetok('plot', table, ...flags, '--facet', 'source')).stderr).toMatch(/--facet: several columns/);
    expect((await maetok('plot', table, '--x', 'gain,lnc', '--y', 'generation')).stderr).toMatch(/no column 'lnc'/);
  });

  it.each([
    ['an empty pipe', '', /no rows/],
    ['a column that is not there', 'step,loss\n1,2\n', /no column 'lossy'; there are step, loss/],
    ['words on the y axis', 'step,loss\n1,low\n', /none of the columns .* has numbers/],
    ['an unknown table', 'a,b\n1,2\n', /name the axes with --x and --y/],
  ])('%s: one line, exit 2', async (what, stdin, message) => {
    const flags = what.startsWith('a column') ? ['--y', 'lossy'] : [];
    const { code, stderr } = await maetokWith({ stdin }, 'plot', ...flags);
    expect(code).toBe(2);
    expect(stderr).toMatch(message);
    expect(stderr.trim().split('\n')).toHaveLength(1);
  });

  it('leaves nothing behind where the output is of an unknown kind', async () => {
    const out = join(folder, 'chart.gif');
    expect((await maetokWith({ stdin: SWEEP }, 'plot', '--out', out)).code).toBe(2);
    expect(existsSync(out)).toBe(false);
  });
});

it('a table of a study keeps the colours of the study’s report', async () => {
  const study = join(folder, 'study');
  mkdirSync(join(study, 'diffusion', 'ae'), { recursive: true });
  writeFileSync(join(study, 'steps.json'), '{}');
  writeFileSync(join(study, 'summary.csv'), 'source,gain\nmae,1\nae,2\n');
  const table = join(study, 'diffusion', 'ae', 'loss.csv');
  writeFileSync(table, 'step,loss\n1,3\n2,1\n');
  // The second colour: `ae` is the study's second latent space.
  expect((await maetok('plot', `ae=${table}`)).stdout).toContain('stroke="#d55e00"');
  expect((await maetok('plot', `other=${table}`)).stdout).not.toContain('#d55e00');
});
