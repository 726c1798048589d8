import { readFile } from 'node:fs/promises';
import type { z } from 'zod';
import { messageOf, UserError } from '../base/index.js';

/** The value in a JSON file; `what` it should be is named in the error. @throws UserError where it cannot be read. */
export const readJson = (path: string, what?: string): Promise<unknown> =>
  readDocument(path, text => JSON.parse(text) as unknown, what);

/** The value in a YAML or JSON file, likewise. */
export const readYaml = (path: string, what?: string): Promise<unknown> =>
  readDocument(path, async text => (await import('./yaml.js')).parse(text) as unknown, what);

async function readDocument(path: string, read: (text: string) => unknown, what?: string): Promise<unknown> {
  try {
    return await read(await readFile(path, 'utf8'));
  } catch (error) {
    const as = what === undefined ? '' : ` as ${what}`;
    throw new UserError(`${path}: cannot be read${as}: ${messageOf(error).split('\n')[0]}`);
  }
}

/** A file's value, as a schema has it. @throws UserError naming the file and the entry that does not fit. */
export function checked<T>(path: string, content: unknown, schema: z.ZodType<T>): T {
  const outcome = schema.safeParse(content);
  if (outcome.success) return outcome.data;
  const [issue] = outcome.error.issues;
  throw new UserError(`${path}: ${issue.path.join('.') || 'the file'}: ${issue.message}`);
}
