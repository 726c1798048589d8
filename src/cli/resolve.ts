import type { z } from 'zod';
import type { Command } from '../commands/index.js';
import { closest, kebab, readBoolean, readNumber } from '../base/index.js';
import type { Said } from './config-file.js';
import { dashed, flagsOf, type Flag } from './flags.js';
import type { Typed } from './parser.js';
import { withRestart } from './requeue.js';
import { UsageError } from './usage-error.js';

export interface Resolved {
  options: Record<string, unknown>;
  inputs: string[];
}

/** Defaults < what the command remembers < config file < flags actually typed; the schema checks the result. */
export async function resolveOptions(command: Command, typed: Typed): Promise<Resolved> {
  checkInputs(command, typed.inputs);
  const flags = flagsOf(command.options);
  const values = readAll(typedWords(typed), flags);
  const said =
    typeof values.config === 'string' ? await (await import('./config-file.js')).readConfig(values.config) : {};
  refuseStrangers(said, flags);
  const given = withRestart({ ...readAll(said, flags), ...values }, 'resume' in flags, process.env);
  const remembered = (await command.remembered?.(given)) ?? {};
  const outcome = command.options.strict().safeParse({ ...remembered, ...given });
  if (outcome.success) return { options: outcome.data, inputs: typed.inputs };
  const words = { ...said, ...typedWords(typed) };
  const complaints = outcome.error.issues.map(issue => {
    const [name] = issue.path.map(String);
    return complaint(name, complaintOf(issue, words[name]), words[name]);
  });
  throw new UsageError(`${complaints.join('; ')} (see \`maetok ${command.name} --help\`)`);
}

const typedWords = ({ flags }: Typed): Record<string, Said> =>
  Object.fromEntries(Object.entries(flags).map(([name, value]) => [name, { value, place: '' }]));

/** `--seed …` for a typed flag, `settings.yaml:3: seed …` for an option in a file. */
const complaint = (name: string, what: string, said: Said | undefined): string =>
  said?.place ? `${said.place}: ${kebab(name)} ${what}` : `${dashed(name)} ${what}`;

/** Checks of the words alone: none is empty, only a list is given twice, a switch is on or off. Schemas check the rest. */
function readAll(said: Record<string, Said>, flags: Record<string, Flag>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(said).map(([name, one]) => {
      const refuse = (what: string): never => {
        throw new UsageError(complaint(name, what, one));
      };
      return [name, readOne(one, flags[name].kind, refuse)];
    }),
  );
}

function readOne({ value, place }: Said, kind: Flag['kind'], refuse: (what: string) => never): unknown {
  if ([value].flat().some(word => word.trim() === '')) refuse('needs a value');
  if (Array.isArray(value)) {
    // Items in a file are already separate; repeated flags form one list.
    if (kind === 'list') return place === '' ? value.join(',') : value;
    refuse(`takes one value, not ${value.length} (${value.join(', ')})`);
  }
  if (kind !== 'boolean') return value;
  return readBoolean(value) ?? refuse(`must be true or false, not '${value}'`);
}

/** Options in a file that the command does not have. */
function refuseStrangers(said: Record<string, Said>, flags: Record<string, Flag>): void {
  for (const [name, { place }] of Object.entries(said)) {
    if (Object.hasOwn(flags, name) && name !== 'config') continue;
    const meant = closest(name, Object.keys(flags).map(kebab));
    throw new UsageError(
      `${place}: unknown option ${kebab(name)}${meant === undefined ? '' : `; did you mean ${meant}?`}`,
    );
  }
}

function complaintOf(issue: z.core.$ZodIssue, said: Said | undefined): string {
  if (said === undefined) return issue.code === 'invalid_type' ? 'is required' : issue.message;
  // The item of a list, or the whole value.
  const at = issue.path.at(1);
  const items = Array.isArray(said.value) ? said.value : said.value.split(',');
  const word = (typeof at === 'number' && items.length > at ? items[at] : String(said.value)).trim();
  const choices = choicesOf(issue);
  const meant = closest(word, choices);
  return `${wanted(issue, choices, word)}, not '${word}'${meant === undefined ? '' : `; did you mean ${meant}?`}`;
}

function wanted(issue: z.core.$ZodIssue, choices: string[], word: string): string {
  if (issue.code === 'invalid_value') return `must be one of ${choices.join(', ')}`;
  if (issue.code !== 'invalid_union') return issue.message;
  const other = issue.errors.flat().find(one => one.code !== 'invalid_value')?.message ?? issue.message;
  return readNumber(word) === undefined ? `must be ${choices.join(', ')} or ${other.replace(/^must be /, '')}` : other;
}

/** The allowed words of an option that is one of a few. */
function choicesOf(issue: z.core.$ZodIssue): string[] {
  if (issue.code === 'invalid_value') return issue.values.map(String);
  return issue.code === 'invalid_union' ? issue.errors.flat().flatMap(choicesOf) : [];
}

function checkInputs(command: Command, inputs: string[]): void {
  const { min, max, name } = {
    min: command.inputs ? 1 : 0,
    max: command.inputs ? 1 : 0,
    name: 'input',
    ...command.inputs,
  };
  if (inputs.length < min)
    throw new UsageError(
      `${command.name} needs ${min === 1 ? 'a' : `${min}`} <${name}>; \`maetok ${command.name} --help\` has examples`,
    );
  if (inputs.length > max) throw new UsageError(`${command.name}: unexpected '${inputs[max]}'`);
}
