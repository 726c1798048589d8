import { relative } from 'node:path';
import { firstSentence, foldersBelow, kebab, readBoolean } from '../base/index.js';
import { COMMAND_GROUPS, type Command } from '../commands/index.js';
import { isKind, USUAL_FOLDERS, type FolderKind } from '../commands/names.js';
import { findCommand } from './find.js';
import { dashed, flagsOf, type Flag } from './flags.js';

/** What may stand in the place of the last word of an unfinished command line. */
export interface Completion {
  /** `files`: what the shell itself completes a path with. */
  kind: 'words' | 'paths' | 'files';
  candidates: [word: string, about: string][];
}

const QUESTIONS: Completion['candidates'] = [
  ['--help', 'the usual options, and examples'],
  ['--help-all', 'every option'],
];

const words = (candidates: Completion['candidates'], typed: string, before = ''): Completion => ({
  kind: 'words',
  candidates: candidates.filter(([word]) => word.startsWith(typed)).map(([word, about]) => [before + word, about]),
});
const FILES: Completion = { kind: 'files', candidates: [] };

/** Completes words for a shell: prints the kind, then a candidate a line, with its meaning behind a tab. */
export async function main(typed: string[]): Promise<void> {
  const { kind, candidates } = await complete(typed);
  const lines = candidates.map(([word, about]) => `${word}\t${firstSentence(about)}`);
  process.stdout.write([kind, ...lines, ''].join('\n'));
}

/** Completes the last of the words typed after `maetok`, which may be empty. */
export async function complete(typed: string[]): Promise<Completion> {
  const last = typed.at(-1) ?? '';
  if (typed.length < 2) return words(last.startsWith('-') ? [...QUESTIONS, ['--version', '']] : commandWords(), last);
  const command = await findCommand(typed.slice(0, -1)).catch(() => undefined);
  if (!command) return FILES;
  const own = command.name.split(' ').length;
  if (command.variants && typed.length === own + 1 && !last.startsWith('-'))
    return words(
      Object.keys(command.variants).map(word => [word, '']),
      last,
    );
  return completeArgument(command, typed.slice(own, -1), last);
}

const commandWords = (): Completion['candidates'] =>
  Object.entries(COMMAND_GROUPS).flatMap(([title, loads]) =>
    Object.keys(loads).map((name): [string, string] => [name, title.toLowerCase()]),
  );

/** `before`: the words between the command's name and the one to complete. */
function completeArgument(command: Command, before: string[], last: string): Completion {
  const flags = new Map(Object.entries(flagsOf(command.options)).map(([name, flag]) => [dashed(name), { name, flag }]));
  if (before.includes('--')) return completeInput(command, last);
  const waiting = flags.get(before.at(-1) ?? '');
  if (waiting && waiting.flag.kind !== 'boolean') return completeValue(waiting.name, waiting.flag, last, '');
  const [, dashes = '', value = ''] = /^(--?[\w-]+)=(.*)$/s.exec(last) ?? [];
  const assigned = flags.get(dashes);
  if (assigned) return completeValue(assigned.name, assigned.flag, value, `${dashes}=`);
  return last.startsWith('-') ? words(flagWords(command, before), last) : completeInput(command, last);
}

/** The flags not given yet; a switch that is on by default is there to be turned off. */
function flagWords({ options, main = [] }: Command, before: string[]): Completion['candidates'] {
  const given = new Set(before.map(word => word.split('=')[0].replace(/^--no-/, '--')));
  const flags = flagsOf(options);
  const order = [...new Set([...main, ...Object.keys(flags)])];
  const open = order.filter(name => flags[name].kind === 'list' || !given.has(dashed(name)));
  const isOn = ({ kind, fallback = '' }: Flag): boolean => kind === 'boolean' && readBoolean(fallback) === true;
  return [
    ...open.map((name): [string, string] => [
      isOn(flags[name]) ? `--no-${kebab(name)}` : dashed(name),
      flags[name].describe ?? '',
    ]),
    ...QUESTIONS,
  ];
}

/** The value of a flag, all of which follows `before` in the same word. */
function completeValue(name: string, { kind, choices }: Flag, typed: string, before: string): Completion {
  if (kind === 'boolean')
    return words(
      [
        ['true', ''],
        ['false', ''],
      ],
      typed,
      before,
    );
  if (choices) {
    const given = kind === 'list' ? typed.split(',').slice(0, -1) : [];
    const ahead = given.map(word => `${word},`).join('');
    const open = choices.filter(choice => !given.includes(choice));
    return words(
      open.map(choice => [choice, '']),
      typed.slice(ahead.length),
      before + ahead,
    );
  }
  if (kind === 'number') return words([], typed);
  return Object.hasOwn(USUAL_FOLDERS, name) ? folders(USUAL_FOLDERS[name], typed, before) : FILES;
}

function completeInput({ inputs }: Command, typed: string): Completion {
  if (!inputs) return words([], typed);
  if (inputs.choices)
    return words(
      inputs.choices.map(choice => [choice, '']),
      typed,
    );
  if (!Object.hasOwn(USUAL_FOLDERS, inputs.name)) return FILES;
  // Named inputs: mae=latents/mae.
  const named = /^[^/=]+=/.exec(typed)?.[0] ?? '';
  return folders(USUAL_FOLDERS[inputs.name], typed.slice(named.length), named);
}

/** How far down, and into how many folders at most, a shell that waits is worth looking. */
const NEAR = { depth: 3, most: 400 };

/** The folders of a kind whose path begins so; where there are none, whatever files there are. */
function folders(kind: FolderKind, typed: string, before: string): Completion {
  const root = typed.slice(0, typed.lastIndexOf('/') + 1);
  const found: Completion['candidates'] = [];
  const isLeaf = (names: ReadonlySet<string>): boolean => isKind(kind, names);
  for (const { path, names } of foldersBelow(root || '.', { ...NEAR, isLeaf })) {
    const word = root + relative(root || '.', path);
    if (word.startsWith(typed) && word !== root && isLeaf(names)) found.push([before + word, `a ${kind} folder`]);
  }
  return found.length > 0 ? { kind: 'paths', candidates: found } : FILES;
}
