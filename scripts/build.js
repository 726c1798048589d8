import { spawnSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const dist = join(root, 'dist');
const stamp = join(root, 'node_modules/.cache/maetok-built');

/** Compiles src/ into dist/ if a source is newer than the last build; returns whether it was. */
export function build({ force = false } = {}) {
  const sources = [...files(join(root, 'src')), join(root, 'tsconfig.json'), join(root, 'tsconfig.build.json')];
  if (!force && isBuilt(sources)) return false;
  // Taken before compiling: a file saved meanwhile is newer, and builds again.
  const started = new Date();
  const made = join(root, `node_modules/.cache/maetok-dist-${process.pid}`);
  try {
    compile(made);
    for (const asset of sources.filter(path => extname(path) !== '.ts' && path.startsWith(join(root, 'src'))))
      cpSync(asset, join(made, asset.slice(join(root, 'src').length)));
    // A swap: a maetok that runs meanwhile finds the old build or the new one.
    rmSync(dist, { recursive: true, force: true });
    renameSync(made, dist);
  } finally {
    rmSync(made, { recursive: true, force: true });
  }
  mkdirSync(dirname(stamp), { recursive: true });
  writeFileSync(stamp, started.toISOString());
  return true;
}

function isBuilt(sources) {
  if (!existsSync(stamp) || !existsSync(join(dist, 'cli/index.js'))) return false;
  const built = Date.parse(readFileSync(stamp, 'utf8'));
  return sources.every(path => statSync(path).mtimeMs < built);
}

function compile(outDir) {
  const tsc = createRequire(import.meta.url).resolve('typescript/bin/tsc');
  const args = [tsc, '-p', 'tsconfig.build.json', '--outDir', outDir, '--incremental', 'false'];
  const { status } = spawnSync(process.execPath, args, { cwd: root, stdio: ['ignore', 2, 2] });
  if (status !== 0) throw new Error('the sources do not compile (see above)');
}

/** Every file below a folder. */
function files(folder) {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter(entry => entry.isFile())
    .map(entry => join(entry.parentPath, entry.name));
}

if (process.argv[1] === fileURLToPath(import.meta.url)) build({ force: true });
