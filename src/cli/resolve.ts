import { readFile } from 'node:fs/promises';
import { parse, YAMLParseError } from 'yaml';
import type { z } from 'zod';
import type { Command } from '../commands/command.js';
import { unreadable, UserError } from '../base/index.js';
import { UsageError, type Typed } from './parser.js';

export interface Resolved {
  options: Record<string, unknown>;
  inputs: string[];
}

/** Defaults < what the command remembers < config file < flags actually typed, then the schema's judgement. */
export async function resolveOptions(command: Command, typed: Typed): Promise<Resolved> {
  checkInputs(command, typed.inputs);
  const fromFile = typeof typed.flags.config === 'string' ? await readConfig(typed.flags.config) : {};
  const remembered = (await command.remembered?.(typed.flags)) ?? {};
  const outcome = command.options.strict().safeParse({ ...remembered, ...fromFile, ...typed.flags });
  if (!outcome.success)
    throw new UsageError(`${outcome.error.issues.map(explain).join('; ')} (see \`maetok ${command.name} --help\`)`);
  return { options: outcome.data, inputs: typed.inputs };
}

async function readConfig(path: string): Promise<Record<string, unknown>> {
  let content: unknown;
  try {
    content = parse(await readFile(path, 'utf8'));
  } catch (error) {
    if (error instanceof YAMLParseError)
      throw new UserError(`${path}: not valid YAML: ${error.message.split('\n')[0]}`);
    throw unreadable(path, error);
  }
  if (content === null || typeof content !== 'object' || Array.isArray(content)) {
    throw new UserError(`${path}: a config file is a YAML map of options, e.g. "steps: 1000"`);
  }
  return Object.fromEntries(Object.entries(content).map(([name, value]) => [camel(name), value]));
}

const camel = (name: string): string => name.replace(/-([a-z])/g, (_, letter: string) => letter.toUpperCase());
const kebab = (name: string): string => name.replace(/[A-Z]/g, letter => `-${letter.toLowerCase()}`);

function explain(issue: z.core.$ZodIssue): string {
  if (issue.code === 'unrecognized_keys')
    return `unknown option ${issue.keys.map(key => `--${kebab(key)}`).join(', ')}`;
  const name = issue.path.length > 0 ? `--${kebab(String(issue.path[0]))} ` : '';
  if (issue.code === 'invalid_type' && /received undefined/.test(issue.message)) return `${name}is required`;
  return `${name}${issue.message}`;
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
