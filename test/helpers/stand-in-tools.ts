import { createHash } from 'node:crypto';
import { copyFile, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { ZipFile } from 'yazl';
import { buffer } from 'node:stream/consumers';
import type { ToolOutcome, Tools } from '../../src/engine/install/tools.js';

export const LIBRARY = '_ZN4absl12lts_2020010114SetMinLogLevelENS0_18LogSeverityAtLeastE';

export interface WheelOptions {
  name: string;
  version: string;
  files: Record<string, string>;
  requires?: string[];
  /** Files whose line in RECORD is wrong. */
  damaged?: string[];
}

/** Writes a small wheel: the files, METADATA and a RECORD of their digests. */
export async function writeWheel(path: string, { name, version, files, requires = [], damaged = [] }: WheelOptions) {
  const info = `${name}-${version}.dist-info`;
  const digest = (text: string): string => createHash('sha256').update(text).digest('base64url');
  const record = Object.entries(files).map(
    ([file, text]) => `${file},sha256=${digest(damaged.includes(file) ? `${text}!` : text)},${text.length}`,
  );
  const metadata = [`Name: ${name}`, `Version: ${version}`, ...requires.map(line => `Requires-Dist: ${line}`)];
  const zip = new ZipFile();
  for (const [file, text] of Object.entries(files))
    zip.addBuffer(Buffer.from(text), file, { mode: file.includes('/bin/') ? 0o100755 : 0o100644 });
  zip.addBuffer(Buffer.from(metadata.join('\n')), `${info}/METADATA`);
  zip.addBuffer(Buffer.from([...record, `${info}/RECORD,,`].join('\n')), `${info}/RECORD`);
  zip.end();
  await writeFile(path, await buffer(zip.outputStream));
  return path;
}

const ok = (stdout = ''): ToolOutcome => ({ code: 0, stdout, stderr: '' });
export const failed = (stderr: string): ToolOutcome => ({ code: 1, stdout: '', stderr });
export const absent = (): ToolOutcome => ({ code: undefined, stdout: '', stderr: 'not found' });

export type Kind = 'compiler' | 'compile' | 'pip' | 'download' | 'report' | 'smoke';

/** Tools that do in a millisecond what the real ones would: `answers` replaces single programs' behaviour. */
export function standInTools(
  wheels: Record<string, string>,
  answers: Partial<Record<Kind, (args: string[]) => Promise<ToolOutcome> | ToolOutcome>> = {},
): Tools & { calls: string[][] } {
  const calls: string[][] = [];
  const usual: Record<Kind, (args: string[]) => Promise<ToolOutcome> | ToolOutcome> = {
    compiler: () => ok('g++ 12'),
    compile: async args => {
      await writeFile(args[args.indexOf('-o') + 1], 'addon');
      return ok();
    },
    pip: () => ok('pip 24'),
    download: async args => {
      const folder = args[args.indexOf('--dest') + 1];
      for (const path of requested(wheels, args)) await copyFile(path, join(folder, basename(path)));
      return ok();
    },
    report: () => ok('{"install":[]}'),
    smoke: () => ok('{"version":"2.21.0","gpu":true,"product":[19,22,43,50]}\n'),
  };
  return {
    calls,
    run: async (command, args) => {
      calls.push([command, ...args]);
      const kind = kindOf(command, args);
      return await (answers[kind] ?? usual[kind])(args);
    },
    fetch: () => Promise.reject(new Error('no network in tests')),
    freeBytes: () => Promise.resolve(1e12),
  };
}

function kindOf(command: string, args: string[]): Kind {
  if (command === process.execPath) return 'smoke';
  if (/pip|python/.test(command)) {
    if (args.includes('--version')) return 'pip';
    return args.includes('--report') ? 'report' : 'download';
  }
  return args.includes('--version') ? 'compiler' : 'compile';
}

/** The stand-in wheels whose requirement is on pip's command line. */
function requested(wheels: Record<string, string>, args: string[]): string[] {
  return Object.entries(wheels)
    .filter(([name]) => args.some(arg => arg === name || new RegExp(`^${name}[=<>]`).test(arg)))
    .map(([, path]) => path);
}
