import { describe, expect, test } from '@jest/globals';
import { commandHelp } from '../../src/cli/help.js';
import { flagsOf } from '../../src/cli/flags.js';
import { COMMANDS, type Command } from '../../src/commands/index.js';
import { kebab } from '../../src/base/index.js';
import { maetok } from '../helpers/cli.js';

async function allCommands(): Promise<[string, Command][]> {
  const found: Command[] = [];
  for (const load of Object.values(COMMANDS)) {
    const command = await load();
    found.push(command);
    for (const variant of Object.values(command.variants ?? {})) found.push(await variant());
  }
  return found.map(command => [command.name, command]);
}
const ALL = await allCommands();

/** The longest line that is more than one word and the backslash that continues it. */
const longest = (text: string): number =>
  Math.max(
    ...text
      .split('\n')
      .filter(line => /\s/.test(line.trim().replace(/ \\$/, '')))
      .map(line => line.length),
  );

describe('help', () => {
  test.each(ALL)('%s: every option once, within 80 columns', (_, command) => {
    const help = commandHelp(command, { all: true, width: 80 });
    const listed = [...help.matchAll(/^ {2}-{1,2}(?:\[no-\])?([a-z][a-z0-9-]*)/gm)].map(([, name]) => name);
    expect(listed.sort()).toEqual(Object.keys(flagsOf(command.options)).map(kebab).sort());
    expect(longest(help)).toBeLessThanOrEqual(80);
  });

  const HAVE_OWN = ALL.filter(([, { options }]) =>
    Object.values(flagsOf(options)).some(({ group }) => group === undefined),
  );
  test.each(HAVE_OWN)('%s: --help names the usual options only, and where the others are', (name, command) => {
    const help = commandHelp(command, { all: false, width: 100 });
    for (const option of command.main ?? []) expect(help).toMatch(new RegExp(`^ {2}.*${kebab(option)}\\b`, 'm'));
    expect(help).toContain(`more options: \`maetok ${name} --help-all\``);
    expect(help).not.toContain('--precision WORD');
  });

  test('numbers, lists, switches and choices are shown as such, with their defaults', async () => {
    const { code, stdout } = await maetok('analyze-gmm', '--help-all');
    expect(code).toBe(0);
    const help = stdout.replace(/\s+/g, ' ');
    expect(help).toMatch(/--variance NUMBER .*? \[default: 0\.9\]/);
    expect(help).toMatch(/--reg-covar NUMBER added to every variance \[default: 1e-6\]/);
    expect(help).toMatch(/--\[no-\]pca .*? \[default: on\]/);
    expect(help).toMatch(/--components LIST .*? \[default: 50,100,200\]/);
    expect(help).toMatch(/--covariance WORD .*? \[full \| tied \| diag \| spherical; default: full\]/);
  });

  test('the overview lists every command under a heading', async () => {
    const { stdout } = await maetok('--help');
    expect(longest(stdout)).toBeLessThanOrEqual(80);
    for (const name of Object.keys(COMMANDS)) expect(stdout).toMatch(new RegExp(`^  ${name} +\\S`, 'm'));
    expect(stdout).toMatch(/^Measures$/m);
  });

  test.each([
    [['trian'], /there is no command 'trian'; did you mean train\? `maetok --help` lists all commands/],
    [['train', 'mae', '--out', 'x'], /no model is called 'mae'.*did you mean maetok\?/],
    [['nothing-like-it'], /there is no command 'nothing-like-it'; `maetok --help` lists all commands/],
    [['train', 'maetk', '--out', 'x'], /no model is called 'maetk'.*did you mean maetok\?/],
    [['analyze-gmm', 'x', '--componets', '3'], /Unknown argument: componets; did you mean --components\?/],
    [['analyze-gmm', 'x', '--covariance', 'dag'], /must be one of .*, not 'dag'; did you mean diag\?/],
  ])('%j: the near word is suggested, exit 2', async (words, complaint) => {
    const { code, stderr } = await maetok(...words);
    expect({ code, lines: stderr.trim().split('\n').length }).toEqual({ code: 2, lines: 1 });
    expect(stderr).toMatch(complaint);
  });
});
