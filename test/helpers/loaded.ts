import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

export interface Loaded {
  code: number | null;
  /** URLs of modules, in order. */
  files: string[];
  /** Packages that these belong to or have within them, as the build's comments say, but for maetok. */
  packages: Set<string>;
}

/** What the launcher loads for these words. */
export function loadedBy(launcher: string, words: string[], cwd?: string): Loaded {
  const hook = 'export const load = (url, context, next) => (process._rawDebug(url), next(url, context))';
  const watch = `import { register } from 'node:module'; register('data:text/javascript,${encodeURIComponent(hook)}')`;
  const argv = ['--import', `data:text/javascript,${encodeURIComponent(watch)}`, launcher, ...words];
  const { status, stderr } = spawnSync(process.execPath, argv, { cwd, encoding: 'utf8' });
  const files = stderr.match(/^file:.*\.\w*js$/gm) ?? [];
  const own = files.flatMap(url => namesIn(url.slice(url.lastIndexOf('/node_modules/'))));
  const within = files.flatMap(url =>
    (readFileSync(new URL(url), 'utf8').match(/^\s*\/\/ node_modules\/.*/gm) ?? []).flatMap(namesIn),
  );
  return { code: status, files, packages: new Set([...own, ...within].filter(name => name !== 'maetok')) };
}

const namesIn = (path: string): string[] =>
  [...path.matchAll(/\bnode_modules\/(@[^/]+\/[^/]+|[^/]+)/g)].map(([, name]) => name);
