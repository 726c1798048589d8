import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { describe, expect, it } from '@jest/globals';
import { silentLog } from '../../src/base/index.js';
import { planStudy, readStudy, runSteps } from '../../src/compare/index.js';
import { checkStudy } from '../../src/compare/study.js';
import type { StudyStep } from '../../src/compare/plan.js';
import { tempFolder } from '../helpers/temp.js';

const folder = tempFolder();

const STUDY = {
  data: 'images/train',
  test: 'images/val',
  tokenizers: {
    mae: { train: 'maetok', preset: 'tiny', steps: 100 },
    taef2: { tokenizer: 'taef2:enc.safetensors' },
    theirs: { latents: 'latents.npz' },
  },
  gmm: { components: [10, 50], restarts: 2 },
  probe: { probe: ['knn'] },
  diffusion: { model: 'sit-tiny', steps: 50 },
  sample: { num: 16 },
};

const lines = (content: object): string[] =>
  planStudy(checkStudy({ ...STUDY, ...content }, 'study', '/base'), 'out').steps.map(({ argv }) => argv.join(' '));

describe('a study', () => {
  it('consists of command lines that a person could type', () => {
    expect(lines({ sample: false, diffusion: false })).toEqual([
      'train maetok --data /base/images/train --preset tiny --steps 100 --seed 0 --out out/tokenizers/mae',
      'extract --tokenizer out/tokenizers/mae --data /base/images/train --seed 0 --out out/latents/mae',
      'extract --tokenizer out/tokenizers/mae --data /base/images/val --seed 0 --out out/latents/mae-test',
      'extract --tokenizer taef2:enc.safetensors --data /base/images/train --seed 0 --out out/latents/taef2',
      'extract --tokenizer taef2:enc.safetensors --data /base/images/val --seed 0 --out out/latents/taef2-test',
      'analyze-gmm mae=out/latents/mae taef2=out/latents/taef2 theirs=/base/latents.npz --components 10,50 --restarts 2 --seed 0 --out out/tables/nll-0.csv',
      'probe mae=out/latents/mae --test out/latents/mae-test --probe knn --seed 0 --out out/tables/probe-mae.csv',
      'probe taef2=out/latents/taef2 --test out/latents/taef2-test --probe knn --seed 0 --out out/tables/probe-taef2.csv',
      'probe theirs=/base/latents.npz --probe knn --seed 0 --out out/tables/probe-theirs.csv',
    ]);
  });

  it('trains a diffusion model on every latent space and samples where something decodes', () => {
    const diffusion = lines({}).filter(line => /^(train sit|sample)/.test(line));
    expect(diffusion).toEqual([
      'train sit-tiny --latents out/latents/mae --steps 50 --seed 0 --out out/diffusion/mae',
      'sample out/diffusion/mae --tokenizer out/tokenizers/mae --num 16 --seed 0 --out out/samples/mae',
      'train sit-tiny --latents out/latents/taef2 --steps 50 --seed 0 --out out/diffusion/taef2',
      'sample out/diffusion/taef2 --tokenizer taef2:enc.safetensors --num 16 --seed 0 --out out/samples/taef2',
      'train sit-tiny --latents /base/latents.npz --steps 50 --seed 0 --out out/diffusion/theirs',
    ]);
  });

  it('opens one training in several ways', () => {
    const tokenizers = { mae: { train: 'maetok' }, large: { same: 'mae', 'image-size': 64 } };
    const all = lines({ tokenizers, gmm: false, probe: false, diffusion: false, evaluate: {}, test: undefined });
    expect(all.filter(line => line.startsWith('train'))).toHaveLength(1);
    expect(all.at(-1)).toBe(
      'evaluate --tokenizer out/tokenizers/mae --image-size 64 --data /base/images/train --seed 0 --out out/tables/reconstruction-large.csv',
    );
  });

  it('trains a tokenizer further from one that it trained before, under the same seed', () => {
    const tokenizers = { mae: { train: 'maetok' }, tuned: { train: 'maetok', from: 'mae', stage: 'decoder' } };
    const all = lines({ tokenizers, gmm: false, probe: false, diffusion: false, evaluate: false, seeds: [0, 3] });
    expect(all.filter(line => line.includes('--stage decoder'))).toEqual(
      [0, 3].map(
        seed =>
          `train maetok --data /base/images/train --from out/tokenizers/mae-${seed} --stage decoder --seed ${seed} --out out/tokenizers/tuned-${seed}`,
      ),
    );
  });

  it('trains several diffusion models on each latent space where it is told to', () => {
    const content = { ...STUDY, tokenizers: { mae: STUDY.tokenizers.mae }, 'diffusion-seeds': [0, 1], evaluate: {} };
    const all = lines(content);
    expect(all.filter(line => line.startsWith('train maetok'))).toHaveLength(1);
    expect(all.filter(line => line.startsWith('train sit')).map(line => line.split(' --seed ')[1])).toEqual([
      '0 --out out/diffusion/mae-d0',
      '1 --out out/diffusion/mae-d1',
    ]);
    expect(all.filter(line => line.includes('mae=out/samples/mae-d1'))).toEqual([
      expect.stringMatching(
        /^evaluate mae=out\/samples\/mae-d1 .*--reference \/base\/images\/train .*generation-0-d1\.csv$/,
      ),
    ]);
  });

  it('diagnoses latents, evaluates reconstructions in several ways and keeps further tables of the mixtures', () => {
    const all = lines({
      tokenizers: { mae: { ...STUDY.tokenizers.mae, family: 'masked' } },
      gmm: { components: [2], modes: true, 'diffusion-floor': true },
      diagnose: { measure: ['diffusability'] },
      evaluations: { interpolation: { latents: '$latents', metrics: ['ifid'] } },
      diffusion: false,
      probe: false,
    });
    expect(all.join('\n')).not.toContain('masked');
    expect(all.slice(-3)).toEqual([
      'analyze-gmm mae=out/latents/mae --components 2 --modes out/tables/modes-0.csv --diffusion-floor out/tables/diffusion-floor-0.csv --seed 0 --out out/tables/nll-0.csv',
      'diagnose mae=out/latents/mae --measure diffusability --seed 0 --out out/tables/diagnose-mae.csv',
      'evaluate --tokenizer out/tokenizers/mae --data /base/images/val --latents out/latents/mae --metrics ifid --seed 0 --out out/tables/interpolation-mae.csv',
    ]);
  });

  it('with several seeds repeats everything under separate names', () => {
    const { spaces, steps } = planStudy(checkStudy({ ...STUDY, seeds: [1, 2] }, 'study', '/base'), 'out');
    expect(spaces.map(({ name }) => name)).toEqual(['mae-1', 'taef2-1', 'theirs-1', 'mae-2', 'taef2-2', 'theirs-2']);
    expect(new Set(steps.map(({ name }) => name)).size).toBe(steps.length);
    expect(new Set(steps.map(({ output }) => output)).size).toBe(steps.length);
  });

  it.each([
    ['an unknown key', { gnm: {} }, /gnm/],
    ['no tokenizers', { tokenizers: {} }, /name at least one/],
    ['two origins', { tokenizers: { a: { train: 'ae', latents: 'x' } } }, /tokenizers\.a: needs exactly one of/],
    ['no images', { data: undefined }, /tokenizers\.mae: needs images/],
    ['the same as nothing', { tokenizers: { a: { same: 'b' } } }, /tokenizers\.a\.same: this study trains no 'b'/],
    [
      'a training that starts from a later one',
      { tokenizers: { a: { train: 'ae', from: 'b' }, b: { train: 'ae' } } },
      /tokenizers\.a\.from: 'b' must come before it/,
    ],
    ['an evaluation called like another table', { evaluations: { probe: {} } }, /evaluations\.probe: a table/],
    ['a name that is no file name', { tokenizers: { 'a/b': { train: 'ae' } } }, /tokenizers/],
    [
      'a claim about nobody',
      { expect: [{ claim: 'c', measure: 'probe', better: 'mae', worse: 'ae' }] },
      /there is no tokenizer 'ae'/,
    ],
  ])('%s: one line that names the place', (_, change, message) => {
    expect(() => checkStudy({ ...STUDY, ...change }, 'study.yaml', '.')).toThrow(message);
  });

  it('can be applied to other images from the command line', async () => {
    const path = join(folder, 'shared.yaml');
    writeFileSync(
      path,
      'data: a\ntest: a-val\nevaluate: { features: hog, bootstrap: 0 }\ntokenizers: { ae: &ae { train: ae }, l1: { <<: *ae, l1: 1 } }\n',
    );
    expect(await readStudy(path)).toMatchObject({ data: join(folder, 'a'), test: join(folder, 'a-val') });
    const other = await readStudy(path, { data: 'b', features: 'pixels' });
    expect(other).toMatchObject({ data: resolve('b'), evaluate: { features: 'pixels', bootstrap: 0 } });
    expect(other.test).toBeUndefined();
    expect((await readStudy(path, { data: 'synthetic:scenes' })).data).toBe('synthetic:scenes');
    expect(other.tokenizers.l1).toEqual({ train: 'ae', l1: 1 });
  });

  it('in a file that is no YAML: one line', async () => {
    const path = join(folder, 'broken.yaml');
    writeFileSync(path, 'tokenizers: [unclosed');
    await expect(readStudy(path)).rejects.toThrow(/broken\.yaml: not valid YAML/);
  });
});

describe('running a study', () => {
  const steps = (out: string, ...words: string[]): StudyStep[] =>
    ['first', 'second', 'third'].map(name => ({
      name,
      kind: 'train',
      series: name,
      argv: [name, ...words],
      output: join(out, name),
      resumable: name === 'second',
    }));
  const signal = new AbortController().signal;

  it('after an interruption resumes the step it was in, and repeats nothing', async () => {
    const out = join(folder, 'stopped');
    const ran: string[] = [];
    let failing = true;
    const run = (argv: string[]): Promise<void> => {
      ran.push(argv.join(' '));
      mkdirSync(join(out, argv[0]), { recursive: true });
      if (argv[0] === 'second' && failing) return Promise.reject(new Error('killed'));
      return Promise.resolve();
    };
    await expect(runSteps(steps(out), { out, run, log: silentLog, signal, jobs: 1 })).rejects.toThrow('killed');
    failing = false;
    await runSteps(steps(out), { out, run, log: silentLog, signal, jobs: 1 });
    expect(ran).toEqual(['first', 'second', 'second --resume', 'third']);
  });

  it('finds out what is done where its record is damaged, with a warning', async () => {
    const out = join(folder, 'unrecorded');
    const ran: string[] = [];
    const run = (argv: string[]): Promise<void> => {
      ran.push(argv.join(' '));
      mkdirSync(join(out, argv[0]), { recursive: true });
      return Promise.resolve();
    };
    const warnings: string[] = [];
    const log = { ...silentLog, warn: (message: string) => void warnings.push(message) };
    await runSteps(steps(out), { out, run, log, signal, jobs: 1 });
    writeFileSync(join(out, 'steps.json'), '{"first": {');
    ran.length = 0;
    await runSteps(steps(out), { out, run, log, signal, jobs: 1 });
    expect(ran).toEqual(['first --force', 'second --resume', 'third --force']);
    expect(warnings).toEqual([expect.stringMatching(/steps.json: is damaged; /)]);
  });

  it('refuses to resume with other options, naming them', async () => {
    const out = join(folder, 'changed');
    const run = (argv: string[]): Promise<void> => {
      mkdirSync(join(out, argv[0]), { recursive: true });
      return Promise.resolve();
    };
    await runSteps(steps(out, '--steps', '10'), { out, run, log: silentLog, signal, jobs: 1 });
    await expect(runSteps(steps(out, '--steps', '20'), { out, run, log: silentLog, signal, jobs: 1 })).rejects.toThrow(
      /'first' was run with other options before \(now: 20\)/,
    );
  });

  describe('several at once', () => {
    /** Two chains and a last step that reads both; `events` says what runs. */
    const chains = (out: string): StudyStep[] => {
      const step = (name: string, ...needs: string[]): StudyStep => ({
        name,
        kind: 'train',
        series: name,
        argv: [name, ...needs.map(need => join(out, need)), '--out', join(out, name)],
        output: join(out, name),
        resumable: true,
      });
      return [
        step('train a'),
        step('extract a', 'train a'),
        step('train b'),
        step('extract b', 'train b'),
        { ...step('sweep'), argv: ['sweep', `a=${join(out, 'extract a')}`, `b=${join(out, 'extract b')}`] },
      ];
    };

    const running = (out: string, { fails }: { fails?: string } = {}) => {
      const events: string[] = [];
      let now = 0;
      let most = 0;
      const run = async ([name]: string[], _label: string, stop: AbortSignal): Promise<void> => {
        events.push(`+${name}`);
        most = Math.max(most, ++now);
        await setTimeout(name === fails ? 5 : 20, undefined, { signal: stop }).catch(() => undefined);
        now--;
        events.push(`${stop.aborted ? '!' : '-'}${name}`);
        if (name === fails) throw new Error(`${name} failed`);
        if (stop.aborted) throw new Error(`${name} stopped`);
        mkdirSync(join(out, name), { recursive: true });
      };
      return { events, run, most: () => most };
    };

    it('each begins once its inputs exist, and no more run than jobs', async () => {
      const out = join(folder, 'jobs');
      mkdirSync(out);
      const { events, run, most } = running(out);
      await runSteps(chains(out), { out, run, log: silentLog, signal, jobs: 2 });
      expect(events.slice(0, 2)).toEqual(['+train a', '+train b']);
      expect(most()).toBe(2);
      const at = (event: string): number => events.indexOf(event);
      expect(at('+extract a')).toBeGreaterThan(at('-train a'));
      expect(at('+extract b')).toBeGreaterThan(at('-train b'));
      expect(events.slice(-2)).toEqual(['+sweep', '-sweep']);
      expect(Object.keys(JSON.parse(readFileSync(join(out, 'steps.json'), 'utf8')) as object)).toHaveLength(5);
    });

    it('if one fails, the others are stopped, nothing is started, and its failure is reported', async () => {
      const out = join(folder, 'one-fails');
      mkdirSync(out);
      const { events, run } = running(out, { fails: 'train b' });
      const steps = runSteps(chains(out), { out, run, log: silentLog, signal, jobs: 2 });
      await expect(steps).rejects.toThrow('train b failed');
      expect(events).toEqual(['+train a', '+train b', '-train b', '!train a']);
    });

    it('after Ctrl-C nothing is started any more', async () => {
      const out = join(folder, 'interrupted');
      mkdirSync(out);
      const abort = new AbortController();
      const { events, run } = running(out);
      const steps = runSteps(chains(out), { out, run, log: silentLog, signal: abort.signal, jobs: 2 });
      abort.abort();
      await expect(steps).rejects.toThrow();
      expect(events.filter(event => event.startsWith('+')).length).toBeLessThanOrEqual(2);
    });
  });
});
