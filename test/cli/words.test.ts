import { describe, expect, test } from '@jest/globals';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { kebab } from '../../src/base/index.js';
import { flagsOf, type FlagKind } from '../../src/cli/flags.js';
import { parseWords } from '../../src/cli/parser.js';
import { resolveOptions } from '../../src/cli/resolve.js';
import { UsageError } from '../../src/cli/usage-error.js';
import type { Command } from '../../src/commands/command.js';
import { COMMANDS } from '../../src/commands/index.js';
import { maetok } from '../helpers/cli.js';
import { tempFolder } from '../helpers/temp.js';

interface Option {
  command: Command;
  name: string;
  kind: FlagKind;
  choices: string[] | undefined;
}

/** Each option of every command once, however many commands share it. */
async function allOptions(): Promise<Option[]> {
  const commands: Command[] = [];
  for (const load of Object.values(COMMANDS)) {
    const command = await load();
    if (!command.variants) commands.push(command);
    for (const variant of Object.values(command.variants ?? {})) commands.push(await variant());
  }
  const options = commands.flatMap(command =>
    Object.entries(flagsOf(command.options)).map(([name, { kind, choices }]) => ({
      option: { command, name, kind, choices },
      key: JSON.stringify([name, kind, choices]),
    })),
  );
  return [...new Map(options.map(({ key, option }) => [key, option])).values()].filter(({ name }) => name !== 'config');
}
const OPTIONS = await allOptions();
const of = (kind: FlagKind): [string, Option][] =>
  OPTIONS.filter(option => option.kind === kind).map(option => [
    `${option.command.name} --${kebab(option.name)}`,
    option,
  ]);

const inputsOf = ({ inputs }: Command): string[] => Array.from({ length: inputs ? (inputs.min ?? 1) : 0 }, () => 'x');

/** What the words say for this option, everything that is required beside it given; undefined where they are refused. */
async function meant({ command, name }: Option, value: string | string[]): Promise<unknown> {
  const required = Object.fromEntries(
    ['out', 'data', 'latents', 'tokenizer', 'reference', 'encoder'].map(key => [key, 'x']),
  );
  const known = Object.keys(flagsOf(command.options));
  const beside = Object.fromEntries(Object.entries(required).filter(([key]) => known.includes(key)));
  try {
    const flags = { ...beside, [name]: value };
    return (await resolveOptions(command, { flags, inputs: inputsOf(command) })).options[name];
  } catch (error) {
    expect(error).toBeInstanceOf(UsageError);
    expect((error as Error).message).toContain(name.length === 1 ? `-${name} ` : `--${kebab(name)} `);
    return undefined;
  }
}

describe('typed values are understood or refused', () => {
  test.each(of('boolean'))('%s is on, off or refused', async (_, option) => {
    for (const word of ['true', 'True', 'TRUE', 'yes', 'on', '1']) expect(await meant(option, word)).toBe(true);
    for (const word of ['false', 'False', 'no', 'off', '0']) expect(await meant(option, word)).toBe(false);
    for (const word of ['', ' ', 'maybe', 'nope', '2', 'null', 'y']) expect(await meant(option, word)).toBeUndefined();
  });

  test.each(of('number'))('%s is the number that is written, or refused', async (_, option) => {
    for (const word of [
      '',
      ' ',
      'abc',
      '1,5',
      '0x10',
      'nan',
      'inf',
      'Infinity',
      '٣',
      'true',
      'null',
      '1e999',
      '1e-999',
    ])
      expect([word, await meant(option, word)]).toEqual([word, undefined]);
    const fits = (await Promise.all(['0.5', '1', '2', '4096'].map(word => meant(option, word)))).filter(
      Number.isFinite,
    );
    expect(fits).not.toHaveLength(0);
    for (const value of fits as number[])
      for (const word of [
        `+${value}`,
        ` ${value} `,
        `${value}e0`,
        Number.isInteger(value) ? `${value}.0` : `${value}0`,
      ])
        expect([value, undefined]).toContain(await meant(option, word));
  });

  test.each(of('list'))('%s has no empty item', async (_, option) => {
    for (const word of ['', ',', '1,', 'a,,b', ',1'])
      expect([word, await meant(option, word)]).toEqual([word, undefined]);
  });

  test.each(
    OPTIONS.filter(({ choices }) => choices).map(one => [`${one.command.name} --${kebab(one.name)}`, one] as const),
  )('%s is one of its choices, or refused with the nearest', async (_, option) => {
    const { choices = [], kind } = option;
    for (const choice of choices) expect(await meant(option, choice)).toEqual(kind === 'list' ? [choice] : choice);
    expect(await meant(option, `${choices[0].toUpperCase()}?`)).toBeUndefined();
  });

  test.each(of('string').filter(([, { choices }]) => !choices))('%s is kept as typed', async (_, option) => {
    expect(await meant(option, '')).toBeUndefined();
    for (const word of ['007', '1e3', 'true', 'null', '0x10'])
      expect([word, Number(word), undefined]).toContain(await meant(option, word));
  });

  test.each(
    OPTIONS.filter(({ kind }) => kind !== 'list').map(
      one => [`${one.command.name} --${kebab(one.name)}`, one] as const,
    ),
  )('%s is not given twice', async (_, option) => expect(await meant(option, ['1', '1'])).toBeUndefined());
});

describe('the command line', () => {
  const parsed = async (...words: string[]) => {
    const command = await COMMANDS['analyze-gmm']();
    const { options, inputs } = await resolveOptions(command, await parseWords(command, ['analyze-gmm', ...words]));
    return { ...options, inputs };
  };

  test.each([
    [['x', '--pca'], { pca: true }],
    [['x', '--no-pca'], { pca: false }],
    [['x', '--pca=True'], { pca: true }],
    [['x', '--pca=0'], { pca: false }],
    [['--pca', 'False', 'x'], { pca: false, inputs: ['x'] }],
    [['--dry-run', 'x'], { dryRun: true, inputs: ['x'] }],
    [['x', '--dryRun=yes'], { dryRun: true }],
    [['x', '--components', '1-3', '--components', '3,10-30:10'], { components: [1, 2, 3, 10, 20, 30] }],
    [['x', '--out', '123', '--state=007'], { out: '123', state: '007' }],
    [['--seed', '5', '--', '-x.npz'], { seed: 5, inputs: ['-x.npz'] }],
    [['x', '--memory', '4GB'], { memory: 4 * 2 ** 30 }],
    [['x', '--dims', '12'], { dims: 12 }],
  ])('%j', async (words, expected) => {
    expect(await parsed(...words)).toMatchObject(expected);
  });

  test.each([
    [['x', '--pca=maybe'], "--pca must be true or false, not 'maybe'"],
    [['x', '--no-pca=1'], '--no-pca takes no value; write --pca=1'],
    [['x', '--pca', '--no-pca'], '--pca takes one value, not 2 (true, false)'],
    [['x', '--pca', '0'], '--pca 0: write --pca=0'],
    [['x', '--no-seed'], 'Unknown argument: no-seed;'],
    [['x', '--seed='], '--seed needs a value'],
    [['x', '--seed', '1', '--seed', '2'], '--seed takes one value, not 2 (1, 2)'],
    [['x', '--seed', '9007199254740993'], '--seed must be 9007199254740991 or less'],
    [['x', '--variance', '1'], "--variance must be below 1, not '1'"],
    [['x', '--components', '5-1'], "--components must be a number, not '5-1'"],
    [['x', '--components', '50-'], "--components must be a number, not '50-'"],
    [['x', '--components', '1-1000000000'], "--components must be a number, not '1-1000000000'"],
    [['x', '--covariance', 'Full'], "not 'Full'; did you mean full?"],
    [['x', '--nulls', 'surogate'], "not 'surogate'; did you mean surrogate?"],
    [['x', '--dims', 'all'], "--dims must be common, own or a number, not 'all'"],
    [['x', '--reg_covar', '1'], 'did you mean --reg-covar?'],
    [['x', '--out.x', '1'], 'Unknown argument: out.x'],
    [['x', '--config', 'a', '--config', 'b'], '--config takes one value'],
  ])('%j: %s', async (words, complaint) => {
    await expect(parsed(...words)).rejects.toThrow(complaint);
  });
});

describe('a config file', () => {
  const temp = tempFolder();
  const read = async (yaml: string, ...words: string[]) => {
    const path = join(temp, 'settings.yaml');
    await writeFile(path, yaml);
    const command = await COMMANDS['analyze-gmm']();
    return (await resolveOptions(command, await parseWords(command, ['analyze-gmm', 'x', '--config', path, ...words])))
      .options;
  };

  test.each([
    ['tol: 1e-4', { tol: 1e-4 }],
    ['seed: "5"', { seed: 5 }],
    ['pca: no\nstandardize: Off\nflips: yes', { pca: false, standardize: false, flips: true }],
    ['state: 007', { state: '007' }],
    ['state: 2024-01-01', { state: '2024-01-01' }],
    ['components: [1, 2-4]\nnulls:\n  - surrogate', { components: [1, 2, 3, 4], nulls: ['surrogate'] }],
    ['components: 5,10', { components: [5, 10] }],
    ['max-iter: 7\nregCovar: 0', { maxIter: 7, regCovar: 0 }],
  ])('%j', async (yaml, expected) => {
    expect(await read(yaml)).toMatchObject(expected);
  });

  test.each([
    ['tol: 1\nseed:', /settings\.yaml:2: seed has no value/],
    ['seed: null', /:1: seed has no value/],
    ['seed: ""', /:1: seed needs a value/],
    ['seed: true', /:1: seed must be a number, not 'true'/],
    ['seed: [5]', /:1: seed takes one value/],
    ['seed: {a: 1}', /:1: seed must be a word, a number or a list/],
    ['tol: 1\n\nsede: 1', /:3: unknown option sede; did you mean seed\?/],
    ['seed: 1\nseed: 2', /not valid YAML: Map keys must be unique/],
    ['max-iter: 1\nmaxIter: 2', /:2: maxIter is given twice/],
    ['seed: !!python/int 3', /not valid YAML: Unresolved tag/],
    ['config: other.yaml', /:1: unknown option config/],
    ['pca: maybe', /:1: pca must be true or false, not 'maybe'/],
    ['- seed', /is a YAML map of options/],
  ])('%j is refused with its line', async (yaml, complaint) => {
    await expect(read(yaml)).rejects.toThrow(complaint);
  });

  test('typed options override it', async () => {
    expect(await read('seed: 1\ntol: 2', '--seed', '3')).toMatchObject({ seed: 3, tol: 2 });
  });

  test('`quiet: true` is quiet', async () => {
    const path = join(temp, 'quiet.yaml');
    await writeFile(path, 'quiet: true\n');
    const { code, stderr } = await maetok('scoreboard', '--config', path);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  });
});
