import { COMMANDS, type Command } from '../commands/index.js';
import { UsageError } from './parser.js';

/** The command that a command line names, down to its variant (`train maetok`); undefined where it names none. */
export async function findCommand(argv: string[]): Promise<Command | undefined> {
  const at = argv.findIndex(word => !word.startsWith('-'));
  const command = at >= 0 && Object.hasOwn(COMMANDS, argv[at]) ? await COMMANDS[argv[at]]() : undefined;
  return command?.variants ? await findVariant(command, command.variants, argv.slice(at + 1)) : command;
}

/** The variant is the word right after the command's name; options may precede it where that is unambiguous. */
async function findVariant(
  command: Command,
  variants: NonNullable<Command['variants']>,
  rest: string[],
): Promise<Command> {
  const word = rest[0]?.startsWith('-') ? rest.find(word => Object.hasOwn(variants, word)) : rest[0];
  if (word === undefined) return command;
  if (!Object.hasOwn(variants, word))
    throw new UsageError(
      `${command.name}: no ${command.inputs?.name ?? 'variant'} is called '${word}'; there are ${Object.keys(variants).join(', ')}`,
    );
  return await variants[word]();
}
