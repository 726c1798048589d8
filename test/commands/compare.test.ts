import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { beforeAll, describe, expect, it } from '@jest/globals';
import { RandomNumbers } from '../../src/base/index.js';
import { holdFolder, readRun, writeNpz } from '../../src/io/index.js';
import { maetok, maetokWith } from '../helpers/cli.js';
import { tempFolder } from '../helpers/temp.js';

const folder = tempFolder();

/** Latents [rows, 2 tokens, 3 channels] of two classes `gap` apart. */
async function latents(name: string, gap: number, rows = 300): Promise<void> {
  const random = new RandomNumbers(gap);
  const labels = random.for('labels').integers(rows, 2);
  const data = random.for('data').normals(rows * 6);
  labels.forEach((label, row) => (data[row * 6] += gap * label));
  await writeNpz(join(folder, `${name}.npz`), {
    latents: { shape: [rows, 2, 3], dtype: 'float32', data },
    labels: { shape: [rows], dtype: 'int32', data: labels },
  });
}

const STUDY = join(folder, 'study.yaml');

beforeAll(async () => {
  await latents('far', 6);
  await latents('near', 0.5);
  await latents('first', 6, 80);
  await latents('second', 0.5, 80);
  writeFileSync(
    STUDY,
    `name: gaps
tokenizers:
  far: { latents: far.npz }
  near: { latents: near.npz }
gmm: { components: [1, 2] }
probe: { probe: [logistic], feature: [flattened] }
expect:
  - { claim: far classes are easier to tell apart, measure: probe, better: far, worse: near }
`,
  );
});

describe('maetok compare', () => {
  const out = join(folder, 'study');

  it('runs a study into one folder: tables, charts, summary, report', async () => {
    const { code, stdout } = await maetok('compare', STUDY, '--out', out, '--quiet');
    expect(code).toBe(0);
    const [head, far, near] = stdout.trim().split('\n');
    expect(head).toMatch(/^source,tokens,channels,dims,nll_per_dim,.*,nll_dims,.*,gain,.*,probe,.*,probe_dims,/);
    const dims = head.split(',').indexOf('probe_dims');
    expect([far, near].map(line => [line.split(',')[0], line.split(',')[dims]])).toEqual([
      ['far', '6'],
      ['near', '6'],
    ]);
    for (const file of ['tables/nll-0.csv', 'charts/nll.svg', 'charts/probe.png', 'summary.csv', 'summary.md'])
      expect(existsSync(join(out, file))).toBe(true);
    expect(readFileSync(join(out, 'claims.csv'), 'utf8')).toMatch(/,rows,1,supported/);
    // The summary's card says how all of it was measured, and of each command what its tables share.
    const card = JSON.parse(readFileSync(join(out, 'summary.csv.protocol.json'), 'utf8')) as object;
    expect(card).toMatchObject({ study: { seeds: [0], gmm: { components: [1, 2] } }, tables: { probe: { seed: 0 } } });
    expect(card).not.toHaveProperty('tables.probe.latents');
    const html = readFileSync(join(out, 'report.html'), 'utf8');
    for (const part of ['gaps', 'Mixture fits', 'Probes', '<svg']) expect(html).toContain(part);
  });

  it('again: nothing is done twice', async () => {
    const before = readFileSync(join(out, 'steps.json'), 'utf8');
    const { code, stderr } = await maetok('compare', STUDY, '--out', out);
    expect(code).toBe(0);
    expect(stderr.match(/already done/g)).toHaveLength(3);
    expect(readFileSync(join(out, 'steps.json'), 'utf8')).toBe(before);
  });

  it('a folder in which another process runs a study is refused, --force or not', async () => {
    const before = readFileSync(join(out, 'steps.json'), 'utf8');
    await holdFolder(out, {}, async () => {
      for (const flags of [[], ['--force']])
        expect(await maetok('compare', STUDY, '--out', out, '--quiet', ...flags)).toMatchObject({
          code: 1,
          stderr: expect.stringMatching(
            /^maetok: .*study: in use by process \d+ .*; wait for it or choose another --out\n$/,
          ),
        });
    });
    expect(readFileSync(join(out, 'steps.json'), 'utf8')).toBe(before);
  });

  it('--jobs: in processes of their own, with the same tables', async () => {
    const apart = join(folder, 'apart');
    const { code, stderr } = await maetok('compare', STUDY, '--out', apart, '--jobs', '2');
    expect(code).toBe(0);
    expect(stderr).toMatch(/^\[2\/3\] probe far \| /m);
    for (const table of ['nll-0.csv', 'probe-far.csv', 'probe-near.csv'])
      expect(readFileSync(join(apart, 'tables', table), 'utf8')).toBe(readFileSync(join(out, 'tables', table), 'utf8'));
  });

  it('--jobs: a step that fails in its process is reported in one line', async () => {
    const study = join(folder, 'broken-apart.yaml');
    writeFileSync(study, 'tokenizers: { gone: { latents: gone.npz } }\nprobe: false\n');
    const { code, stderr } = await maetok('compare', study, '--out', join(folder, 'b2'), '--quiet', '--jobs', '2');
    expect(code).toBe(2);
    expect(stderr).toMatch(/^maetok: \[1\/1\] mixtures, seed 0: .*gone\.npz.*\n$/);
  });

  it('--jobs: after Ctrl-C every step that ran has saved its state', async () => {
    const study = join(folder, 'long.yaml');
    const training = 'preset: tiny, steps: 5000, batch-size: 2, log-every: 1';
    writeFileSync(
      study,
      `data: synthetic:scenes?count=60&size=32
tokenizers: { a: { train: ae, ${training} }, b: { train: kl-vae, ${training} } }
`,
    );
    const long = join(folder, 'long');
    const trained = ['a', 'b'].map(name => join(long, 'tokenizers', name));
    const abort = new AbortController();
    const running = maetokWith({ signal: abort.signal }, 'compare', study, '--out', long, '--jobs', '2');
    while (!trained.every(run => existsSync(join(run, 'metrics.csv')))) await sleep(50);
    abort.abort();
    const { code, stderr } = await running;
    expect(code).toBe(130);
    expect(stderr).toMatch(/maetok: interrupted; the same command resumes it\n$/);
    for (const run of trained) expect((await readRun(run)).step).toBeGreaterThan(0);
  });

  it('--dry-run prints the command lines and runs none', async () => {
    const { stdout } = await maetok('compare', STUDY, '--out', join(folder, 'dry'), '--dry-run');
    expect(stdout.trim().split('\n')).toHaveLength(3);
    expect(stdout).toMatch(/^maetok analyze-gmm far=/);
    expect(existsSync(join(folder, 'dry'))).toBe(false);
  });

  it('a failing step is named by the command that failed, and what was done stays', async () => {
    const study = join(folder, 'broken.yaml');
    writeFileSync(study, 'tokenizers: { far: { latents: far.npz }, gone: { latents: gone.npz } }\nprobe: false\n');
    const { code, stderr } = await maetok('compare', study, '--out', join(folder, 'broken'), '--quiet');
    expect(code).toBe(2);
    expect(stderr).toMatch(/gone\.npz/);
    expect(stderr.trim().split('\n')).toHaveLength(1);
  });

  it('--force never empties a folder that no study made', async () => {
    const photos = join(folder, 'photos');
    mkdirSync(photos);
    writeFileSync(join(photos, 'cat.jpg'), '');
    const { code, stderr } = await maetok('compare', STUDY, '--out', photos, '--force', '--quiet');
    expect(code).toBe(1);
    expect(stderr).toMatch(/holds no study/);
    expect(existsSync(join(photos, 'cat.jpg'))).toBe(true);
  });
});

describe('maetok compare of latents', () => {
  const out = join(folder, 'cmp');
  const line = (...names: string[]) => [
    ...['compare', ...names.map(name => `${name}=${join(folder, name)}.npz`)],
    ...['--out', out, '--minutes', '0.2'],
  ];

  it('plans for the time given, measures, and leaves the study that it stands for', async () => {
    const { code, stderr, stdout } = await maetok(...line('first'), '--watch');
    expect(code).toBe(0);
    expect(stderr).toMatch(/plan for 1 latent space in 0\.2 minutes on .*\n {2}mixtures .*all rows \(80\)\n {2}probes/);
    expect(stderr).toMatch(/report\.html: grows with every step/);
    expect(stdout).toMatch(/^source,.*best_components,best_components_low/);
    const study = readFileSync(join(out, 'study.yaml'), 'utf8');
    expect(study).toMatch(/^# What `maetok compare first=.* stands for\.\n/);
    const { stdout: planned } = await maetok('compare', join(out, 'study.yaml'), '--out', out, '--dry-run');
    expect(planned.trim().split('\n')).toHaveLength(4);
    expect(readFileSync(join(out, 'report.html'), 'utf8')).not.toContain('http-equiv="refresh"');
  });

  it('with one more space measures that one only, as it did the other', async () => {
    const { code, stderr, stdout } = await maetok(...line('second'));
    expect(code).toBe(0);
    expect(stderr.match(/already done/g)).toHaveLength(4);
    expect(
      stdout
        .trim()
        .split('\n')
        .slice(1)
        .map(row => row.split(',')[0]),
    ).toEqual(['first', 'second']);
  });

  it('a name that is taken, and what needs tokenizers: one line each', async () => {
    const taken = await maetok('compare', `first=${join(folder, 'second.npz')}`, '--out', out, '--quiet');
    expect(taken).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/first: is .*first\.npz in this study already/),
    });
    const samples = await maetok(...line('first'), '--quiet', '--with', 'diffusion,samples');
    expect(samples).toMatchObject({ code: 2, stderr: expect.stringMatching(/needs tokenizers and --data/) });
    const nothing = await maetok('compare', join(folder, 'nothing'), '--out', join(folder, 'none'), '--quiet');
    expect(nothing).toMatchObject({ code: 2, stderr: expect.stringMatching(/a tokenizer needs --data/) });
  });
});

describe('maetok report', () => {
  it('makes the page of a study again, and one for several', async () => {
    const [one, two] = [join(folder, 'study'), join(folder, 'cmp')];
    const page = join(one, 'report.html');
    writeFileSync(page, '');
    expect(await maetok('report', one, '--quiet')).toMatchObject({ code: 0 });
    expect(readFileSync(page, 'utf8')).toContain('Mixture fits');
    const both = join(folder, 'both.html');
    expect(await maetok('report', one, two, '--out', both, '--quiet')).toMatchObject({ code: 0 });
    expect(readFileSync(both, 'utf8')).toMatch(/gaps: Summary[^]*cmp: Summary/);
    expect(await maetok('report', one, two, '--quiet')).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/name it by --out/),
    });
    expect(await maetok('report', join(folder, 'photos'), '--quiet')).toMatchObject({
      stderr: expect.stringMatching(/holds no study \(study\.yaml is missing\)/),
    });
  });
});

describe('maetok demo', () => {
  it('--dry-run shows the whole job', async () => {
    const { stdout } = await maetok('demo', '--dry-run');
    for (const command of [
      'train maetok',
      'train ae',
      'train kl-vae',
      'extract',
      'analyze-gmm',
      'probe',
      'train sit-tiny',
      'sample',
    ])
      expect(stdout).toContain(`maetok ${command} `);
  });
});
