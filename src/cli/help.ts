import { definitions, firstSentence, kebab, wrap } from '../base/index.js';
import { COMMAND_GROUPS, type Command } from '../commands/index.js';
import { dashed, flagsOf, type Flag, type FlagKind } from './flags.js';

const NARROWEST = 60;
const WIDEST = 100;

/** Columns that help is written in, given those of the terminal. */
export const helpWidth = (columns = 80): number => Math.max(NARROWEST, Math.min(WIDEST, columns));

/** `maetok --help`. */
export async function overviewHelp(width: number): Promise<string> {
  const groups = await Promise.all(
    Object.entries(COMMAND_GROUPS).map(async ([title, loads]) => {
      const commands = await Promise.all(Object.values(loads).map(load => load()));
      const terms = commands.map(({ name, describe }): [string, string] => [name, firstSentence(describe)]);
      return section(title, definitions(terms, { width, widest: 16 }));
    }),
  );
  return [
    'maetok <command> [inputs…] [--options]',
    ...groups,
    [
      '`maetok <command> --help` shows the usual options and examples, --help-all every option.',
      '`maetok help` lists the documentation, `maetok completion` completes words in your shell.',
    ]
      .flatMap(line => wrap(line, width))
      .join('\n'),
  ].join('\n\n');
}

/** `maetok COMMAND --help`, or with `all` its --help-all. */
export function commandHelp(command: Command, { all, width }: { all: boolean; width: number }): string {
  const { name, describe, examples, inputs } = command;
  const parts = [usage(command), wrap(describe, width).join('\n')];
  if (inputs) parts.push(wrap(`${inputs.name}: ${inputs.describe}`, width).join('\n'));
  const sections = sectionsOf(command);
  const shown = all ? sections : sections.filter(({ title }) => title === FIRST);
  for (const { title, names } of shown) parts.push(section(title, optionLines(command, names, width)));
  const hidden = sections.filter(section => !shown.includes(section)).flatMap(({ names }) => names);
  if (hidden.length > 0)
    parts.push(wrap(`${hidden.length} more options: \`maetok ${name} --help-all\``, width).join('\n'));
  if (examples.length > 0)
    parts.push(
      section(
        'Examples',
        examples.flatMap(example => exampleLines(example, width)),
      ),
    );
  return parts.join('\n\n');
}

function usage({ name, inputs }: Command): string {
  if (!inputs) return `maetok ${name} [--options]`;
  const many = (inputs.max ?? 1) > 1 ? '…' : '';
  const word = (inputs.min ?? 1) > 0 ? `<${inputs.name}>` : `[${inputs.name}]`;
  return `maetok ${name} ${word}${many} [--options]`;
}

const section = (title: string, lines: string[]): string => [title, ...lines].join('\n');

interface Section {
  title: string;
  names: string[];
}

/** The options under their headings: the main ones, those under no heading, then heading by heading. */
function sectionsOf({ options, main }: Command): Section[] {
  const flags = Object.entries(flagsOf(options));
  const isMain = (name: string, { group }: Flag): boolean => main?.includes(name) ?? group !== EVERY_COMMAND;
  const rest = flags.filter(([name, flag]) => !isMain(name, flag));
  const first = main ?? flags.filter(([name, flag]) => isMain(name, flag)).map(([name]) => name);
  const groups = new Map<string, string[]>([
    [FIRST, [...first]],
    [OTHERS, []],
    ...rest.map(([, { group = OTHERS }]): [string, string[]] => [group, []]),
  ]);
  for (const [name, { group = OTHERS }] of rest) groups.get(group)!.push(name);
  // Common to all commands, so least interesting for each.
  const last = groups.get(EVERY_COMMAND);
  if (last && groups.delete(EVERY_COMMAND)) groups.set(EVERY_COMMAND, last);
  return [...groups].filter(([, names]) => names.length > 0).map(([title, names]) => ({ title, names }));
}

const FIRST = 'Options';
const OTHERS = 'More options';
const EVERY_COMMAND = 'Every command';

function optionLines({ options }: Command, names: string[], width: number): string[] {
  const flags = flagsOf(options);
  return definitions(
    names.map(name => [optionTerm(name, flags[name]), optionMeaning(flags[name])]),
    { width },
  );
}

const VALUES: Record<FlagKind, string> = { boolean: '', number: ' NUMBER', list: ' LIST', string: ' WORD' };

/** `--steps NUMBER`, `--[no-]pca`. */
const optionTerm = (name: string, { kind, fallback }: Flag): string =>
  kind === 'boolean' && fallback === 'true' ? `--[no-]${kebab(name)}` : `${dashed(name)}${VALUES[kind]}`;

/** What an option means, with its choices and its default where its description does not say them. */
function optionMeaning({ kind, describe = '', choices = [], fallback }: Flag): string {
  const said = new Set(describe.split(/[^\w+-]+/));
  const usual =
    kind === 'boolean' ? (fallback === 'true' ? 'on' : undefined) : isAll(fallback, choices) ? 'all' : fallback;
  const facts = [
    ...(choices.every(choice => said.has(choice)) ? [] : [choices.join(' | ')]),
    ...(usual === undefined || describe.includes(`default ${usual}`) ? [] : [`default: ${usual}`]),
  ];
  return facts.length === 0 ? describe : `${describe} [${facts.join('; ')}]`;
}

const isAll = (fallback: string | undefined, choices: string[]): boolean =>
  choices.length > 1 && fallback === choices.join(',');

const HARD_SPACE = '\u00a0';

/** A command line that can be copied, continued over several lines where it is long, and its meaning. */
function exampleLines([line, meaning]: [string, string], width: number): string[] {
  // A flag and its value stay on one line.
  const lines = wrap(line.replace(/(--?[a-z][a-z-]*) (?=[^-|])/g, `$1${HARD_SPACE}`), width - 6).map(part =>
    part.replaceAll(HARD_SPACE, ' '),
  );
  return [
    ...lines.map((part, i) => `${i === 0 ? '  ' : '    '}${part}${i < lines.length - 1 ? ' \\' : ''}`),
    ...wrap(meaning, width - 6).map(part => `      ${part}`),
  ];
}
