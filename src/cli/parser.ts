import yargs from 'yargs';
import { camel, closest, kebab, readBoolean } from '../base/index.js';
import type { Command } from '../commands/index.js';
import { flagsOf, type Flag } from './flags.js';
import { UsageError } from './usage-error.js';

/** What was typed: flags by camelCase name, and the positional words after the command. */
export interface Typed {
  /** The word typed; several where the flag was given several times. */
  flags: Record<string, string | string[]>;
  inputs: string[];
}

/** Parses `argv` for one command. Values stay words, as typed. */
export async function parseWords(command: Command, argv: string[]): Promise<Typed> {
  const flags = flagsOf(command.options);
  const parser = yargs()
    .parserConfiguration({
      'parse-positional-numbers': false,
      'camel-case-expansion': true,
      'boolean-negation': false,
      'dot-notation': false,
    })
    .help(false)
    .version(false)
    .strictOptions()
    .exitProcess(false)
    .fail((message: string | undefined, error: Error | undefined) => {
      const wrong = onceEach((message ?? error?.message ?? 'wrong usage').replace(/\s+/g, ' '));
      throw new UsageError(`${wrong}${suggestion(wrong, flags)}; \`maetok ${command.name} --help\` shows what fits`);
    });
  // As strings: yargs would turn 0x10 and '' into numbers and `--pca=True` into false. Without defaults, or an untyped
  // flag would override the config file.
  for (const name of Object.keys(flags)) parser.option(kebab(name), { type: 'string', requiresArg: true });
  const parsed: Record<string, unknown> = await parser.parseAsync(spelledOut(argv, flags));
  // A command's name may be several words.
  const own = command.name.split(' ').length;
  return { flags: typedFlags(parsed, flags), inputs: (parsed._ as (string | number)[]).slice(own).map(String) };
}

const upToInputs = (argv: string[]): string[] => argv.slice(0, argv.includes('--') ? argv.indexOf('--') : undefined);

/** What is to be printed instead of running the command. */
export type Question = 'help' | 'help-all' | 'version';

const QUESTIONS: Record<string, Question> = {
  '--help-all': 'help-all',
  '--help': 'help',
  '-h': 'help',
  '--version': 'version',
};

/** The question that a command line asks, if any. */
export function questionOf(argv: string[]): Question | undefined {
  const words = upToInputs(argv);
  const asked = Object.keys(QUESTIONS).find(word => words.includes(word));
  return asked === undefined ? undefined : QUESTIONS[asked];
}

/**
 * Boolean flags with their value: `--pca` is `--pca=true`, `--no-pca` is `--pca=false`, and the word after
 * `--pca` is its value where no other reading is possible.
 */
function spelledOut(argv: string[], flags: Record<string, Flag>): string[] {
  const isSwitch = (name: string): boolean =>
    Object.hasOwn(flags, camel(name)) && flags[camel(name)].kind === 'boolean';
  const words = upToInputs(argv);
  const spelled: string[] = [];
  for (let i = 0; i < words.length; i++) {
    const [word, flag = '', value] = /^--([^=]+)(=.*)?$/s.exec(words[i]) ?? [words[i]];
    const name = flag.replace(/^no-/, '');
    if (!isSwitch(name)) spelled.push(word);
    else if (flag !== name && value)
      throw new UsageError(`--${flag} takes no value; write --${name}${value}, or --${flag} alone`);
    else if (flag !== name) spelled.push(`--${name}=false`);
    else if (value) spelled.push(word);
    else spelled.push(`--${name}=${saysSwitch(words.at(i + 1), name) ? words[++i] : 'true'}`);
  }
  return [...spelled, ...argv.slice(words.length)];
}

/** Whether the word after a bare flag is its value. */
function saysSwitch(word: string | undefined, name: string): boolean {
  if (word === undefined || readBoolean(word) === undefined) return false;
  if (!/^\s*[01]\s*$/.test(word)) return true;
  throw new UsageError(`--${name} ${word}: write --${name}=${word}; write an input called ${word} as ./${word}`);
}

/** yargs names an unknown `--no-such` twice, as typed and in camelCase. */
const onceEach = (complaint: string): string =>
  complaint.replace(/^Unknown arguments: (.*)$/, (_, list: string) => {
    const names = list.split(', ');
    const typed = names.filter(name => !names.some(other => other !== name && camel(other) === name));
    return `Unknown argument${typed.length > 1 ? 's' : ''}: ${typed.join(', ')}`;
  });

/** For an unknown flag, the name that was probably meant. */
function suggestion(complaint: string, flags: Record<string, Flag>): string {
  const unknown = /^Unknown arguments?: (?:no-)?([^,\s]+)/.exec(complaint)?.[1];
  const meant = unknown === undefined ? undefined : closest(unknown, Object.keys(flags).map(kebab));
  return meant === undefined ? '' : `; did you mean --${meant}?`;
}

/** yargs gives each flag under both spellings, and its own `$0`. */
function typedFlags(parsed: Record<string, unknown>, flags: Record<string, Flag>): Typed['flags'] {
  return Object.fromEntries(
    Object.keys(flags).flatMap(name => {
      const value = Object.hasOwn(parsed, name) ? parsed[name] : undefined;
      return value === undefined ? [] : [[name, value as string | string[]]];
    }),
  );
}
