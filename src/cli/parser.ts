import yargs, { type Options } from 'yargs';
import { camel, closest, kebab, readBoolean, UserError, VERSION } from '../base/index.js';
import { COMMANDS, type Command } from '../commands/index.js';
import { flagsOf, type Flag, type FlagKind } from './flags.js';

export class UsageError extends UserError {}

/** Thrown when --help or --version was asked for: the text is the result. */
export class HelpShown extends Error {
  constructor(readonly text: string) {
    super('help');
  }
}

/** What was typed: flags by camelCase name, and the positional words after the command. */
export interface Typed {
  /** The word typed; several where the flag was given several times. */
  flags: Record<string, string | string[]>;
  inputs: string[];
}

/** Parses `argv` for one command (or none: the list of commands). Values stay words, as typed. */
export async function buildParser(command: Command | undefined, argv: string[]): Promise<Typed> {
  let shown: string | undefined;
  const flags = command ? flagsOf(command.options) : {};
  const parser = command ? commandParser(command, flags, { forHelp: asksForHelp(argv) }) : await overviewParser();
  const parsed = await parser
    .scriptName('maetok')
    .version(VERSION)
    .help()
    .alias('help', 'h')
    .strictOptions()
    .recommendCommands()
    .wrap(Math.min(110, process.stderr.columns || 110))
    .exitProcess(false)
    .fail((message: string | undefined, error: Error | undefined) => {
      const wrong = onceEach((message ?? error?.message ?? 'wrong usage').replace(/\s+/g, ' '));
      const help = ['maetok', ...(command ? [command.name] : []), '--help'].join(' ');
      throw new UsageError(`${wrong}${suggestion(wrong, flags)}; \`${help}\` shows what fits`);
    })
    .parseAsync(spelledOut(argv, flags), {}, (_error, _argv, output) => {
      if (output) shown = output;
    });
  if (shown !== undefined) throw new HelpShown(shown);
  const { _: words, ...rest } = parsed as Record<string, unknown> & { _: (string | number)[] };
  // A command's name may be several words.
  const own = command?.name.split(' ').length ?? 1;
  return { flags: typedFlags(rest, flags), inputs: words.slice(own).map(String) };
}

const upToInputs = (argv: string[]): string[] => argv.slice(0, argv.includes('--') ? argv.indexOf('--') : undefined);
const asksForHelp = (argv: string[]): boolean => upToInputs(argv).some(word => word === '--help' || word === '-h');

async function overviewParser(): Promise<ReturnType<typeof yargs>> {
  const parser = yargs()
    .usage('maetok <command> [inputs…] [--options]')
    .epilogue('`maetok <command> --help` shows options and examples.');
  for (const load of Object.values(COMMANDS)) {
    const { name, describe } = await load();
    parser.command(name, describe);
  }
  return parser.strict().demandCommand(1, 'no command given');
}

function commandParser(
  command: Command,
  flags: Record<string, Flag>,
  { forHelp }: { forHelp: boolean },
): ReturnType<typeof yargs> {
  const { inputs } = command;
  const many = (inputs?.max ?? 1) > 1 ? '…' : '';
  const word = inputs ? ((inputs.min ?? 1) > 0 ? ` <${inputs.name}>${many}` : ` [${inputs.name}]${many}`) : '';
  const note = inputs ? `\n\n${inputs.name}: ${inputs.describe}` : '';
  const parser = yargs()
    .usage(`maetok ${command.name}${word} [--options]\n\n${command.describe}${note}`)
    .parserConfiguration({
      'parse-positional-numbers': false,
      'camel-case-expansion': true,
      'boolean-negation': false,
      'dot-notation': false,
    });
  for (const [line, meaning] of command.examples) parser.example(line, meaning);
  for (const [name, flag] of Object.entries(flags))
    parser.option(kebab(name), forHelp ? shownOption(flag) : { type: 'string', requiresArg: true });
  return parser;
}

const SHOWN_TYPES: Record<FlagKind, Options['type']> = {
  boolean: 'boolean',
  number: 'number',
  list: 'array',
  string: 'string',
};

/**
 * How help describes a flag. It is always parsed as a string: yargs would turn 0x10 and '' into numbers and
 * `--pca=True` into false. Nor does it get a default there, or an untyped flag would override the config file.
 */
const shownOption = ({ kind, describe, fallback, choices }: Flag): Options => ({
  type: SHOWN_TYPES[kind],
  describe,
  defaultDescription: fallback,
  choices,
});

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
