import { readFile } from 'node:fs/promises';
import { isMap, isScalar, isSeq, LineCounter, parseDocument, type Node, type Pair } from 'yaml';
import { camel, unreadable, UserError } from '../base/index.js';

/** An option as written in a file: the literal words, not as YAML interprets them, so that 007 stays 007. */
export interface Said {
  value: string | string[];
  /** `settings.yaml:3`, for messages. */
  place: string;
}

/** The options in a YAML file, by camelCase name. @throws UserError naming the line. */
export async function readConfig(path: string): Promise<Record<string, Said>> {
  const text = await readFile(path, 'utf8').catch((error: unknown) => {
    throw unreadable(path, error);
  });
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, merge: true });
  const wrong = [...document.errors, ...document.warnings].at(0);
  if (wrong !== undefined) throw new UserError(`${path}: not valid YAML: ${wrong.message.split('\n')[0]}`);
  if (!isMap(document.contents))
    throw new UserError(`${path}: a config file is a YAML map of options, e.g. "steps: 1000"`);
  const said: Record<string, Said> = {};
  for (const { key, value } of document.contents.items as Pair<Node, Node | null>[]) {
    const place = `${path}:${lines.linePos(key.range![0]).line}`;
    const name = camel(isScalar(key) ? String(key.value) : String(key));
    if (Object.hasOwn(said, name)) throw new UserError(`${place}: ${String(key)} is given twice`);
    said[name] = { value: valueOf(value, `${place}: ${String(key)}`), place };
  }
  return said;
}

function valueOf(node: Node | null, place: string): string | string[] {
  if (isSeq(node)) return node.items.map(item => wordOf(item as Node, place));
  return wordOf(node, place);
}

function wordOf(node: Node | null, place: string): string {
  if (isScalar(node) && node.value !== null) return node.type === 'PLAIN' ? node.source! : (node.value as string);
  if (node === null || isScalar(node)) throw new UserError(`${place} has no value; leave it out for the default`);
  throw new UserError(`${place} must be a word, a number or a list of these`);
}
