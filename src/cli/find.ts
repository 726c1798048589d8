import { closest } from '../base/index.js';
import { COMMANDS, type Command } from '../commands/index.js';
import { UsageError } from './usage-error.js';

/**
 * The command that a command line names, down to its variant (`train maetok`); undefined where it names none.
 * @throws UsageError where its first word is no command.
 */
export async function findCommand(argv: string[]): Promise<Command | undefined> {
  const at = argv.findIndex(word => !word.startsWith('-'));
  if (at < 0) return undefined;
  if (!Object.hasOwn(COMMANDS, argv[at])) {
    const near = meant(argv[at], Object.keys(COMMANDS));
    throw new UsageError(`there is no command '${argv[at]}'${near || ';'} \`maetok --help\` lists all commands`);
  }
  const command = await COMMANDS[argv[at]]();
  return command.variants ? await findVariant(command, command.variants, argv.slice(at + 1)) : command;
}

/** `; did you mean train?`, or nothing where no choice is near. */
function meant(word: string, choices: string[]): string {
  const near = closest(word, choices);
  return near === undefined ? '' : `; did you mean ${near}?`;
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
      `${command.name}: no ${command.inputs?.name ?? 'variant'} is called '${word}'; there are ${Object.keys(variants).join(', ')}${meant(word, Object.keys(variants))}`,
    );
  return await variants[word]();
}
