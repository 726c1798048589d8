import yargs, { type Options } from 'yargs';
import { z } from 'zod';
import { UserError, VERSION } from '../base/index.js';
import type { Command } from '../commands/command.js';
import { COMMANDS } from '../commands/index.js';

export class UsageError extends UserError {}

/** Thrown when --help or --version was asked for: the text is the result. */
export class HelpShown extends Error {
  constructor(readonly text: string) {
    super('help');
  }
}

/** What was typed: flags by camelCase name, and the positional words after the command. */
export interface Typed {
  flags: Record<string, unknown>;
  inputs: string[];
}

interface Property {
  type?: string;
  description?: string;
  default?: string | number | boolean | string[];
  enum?: string[];
}

/** Parses `argv` for one command (or none: the list of commands). Values stay strings; zod judges them later. */
export async function buildParser(command: Command | undefined, argv: string[]): Promise<Typed> {
  let shown: string | undefined;
  const parser = command ? commandParser(command) : await overviewParser();
  const parsed = await parser
    .scriptName('maetok')
    .version(VERSION)
    .help()
    .strictOptions()
    .recommendCommands()
    .wrap(Math.min(110, process.stderr.columns || 110))
    .exitProcess(false)
    .fail((message: string | undefined, error: Error | undefined) => {
      const wrong = (message ?? error?.message ?? 'wrong usage').replace(/\s+/g, ' ');
      const help = ['maetok', ...(command ? [command.name] : []), '--help'].join(' ');
      throw new UsageError(`${wrong}; \`${help}\` shows what fits`);
    })
    .parseAsync(argv, {}, (_error, _argv, output) => {
      if (output) shown = output;
    });
  if (shown !== undefined) throw new HelpShown(shown);
  const { _: words, ...flags } = parsed as Record<string, unknown> & { _: (string | number)[] };
  // A command's name may be several words.
  const own = command?.name.split(' ').length ?? 1;
  return { flags: camelOnly(flags), inputs: words.slice(own).map(String) };
}

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

function commandParser(command: Command): ReturnType<typeof yargs> {
  const { inputs } = command;
  const many = (inputs?.max ?? 1) > 1 ? '…' : '';
  const word = inputs ? ((inputs.min ?? 1) > 0 ? ` <${inputs.name}>${many}` : ` [${inputs.name}]${many}`) : '';
  const note = inputs ? `\n\n${inputs.name}: ${inputs.describe}` : '';
  const parser = yargs()
    .usage(`maetok ${command.name}${word} [--options]\n\n${command.describe}${note}`)
    .parserConfiguration({ 'parse-positional-numbers': false, 'camel-case-expansion': true, 'boolean-negation': true });
  for (const [line, meaning] of command.examples) parser.example(line, meaning);
  for (const [name, option] of Object.entries(yargsOptions(command.options))) parser.option(name, option);
  return parser;
}

/** Flags are declared without defaults, else an untyped flag would beat the config file; help shows the schema's. */
function yargsOptions(schema: z.ZodObject): Record<string, Options> {
  const { properties = {} } = z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' }) as {
    properties?: Record<string, Property>;
  };
  return Object.fromEntries(
    Object.entries(properties).map(([name, { type, description, default: fallback, enum: choices }]) => [
      kebab(name),
      {
        type: type === 'boolean' ? 'boolean' : 'string',
        requiresArg: type !== 'boolean',
        describe: description,
        defaultDescription: fallback === undefined ? undefined : String(fallback),
        choices,
      } satisfies Options,
    ]),
  );
}

const kebab = (name: string): string => name.replace(/[A-Z]/g, letter => `-${letter.toLowerCase()}`);

/** yargs gives each flag under both spellings, and its own `$0`. */
function camelOnly(flags: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(flags).filter(([name, value]) => /^[a-zA-Z][a-zA-Z0-9]*$/.test(name) && value !== undefined),
  );
}
