/* `npm run bench -- NAME [arguments]` runs bench/NAME.ts; without a name, lists what there is. */
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const folder = fileURLToPath(new URL('../bench', import.meta.url));
const [name, ...rest] = process.argv.slice(2);
const path = join(folder, `${name}.ts`);

if (name === undefined || !existsSync(path)) {
  if (name !== undefined) process.stderr.write(`bench: there is no bench/${name}.ts; these are there:\n`);
  for (const bench of benches()) process.stdout.write(`${bench}\n`);
  process.exit(name === undefined ? 0 : 2);
}
const { status } = spawnSync(process.execPath, ['--import', 'tsx', path, ...rest], { stdio: 'inherit' });
process.exit(status ?? 1);

/** Each bench with the first line of its opening comment. */
function benches() {
  return readdirSync(folder)
    .filter(file => file.endsWith('.ts'))
    .map(file => {
      const comment = /^\/\*+\s*(?:\*\s*)?([^\n*]+)/.exec(readFileSync(join(folder, file), 'utf8'))?.[1] ?? '';
      return `${file.replace(/\.ts$/, '').padEnd(24)}${comment.trim()}`;
    });
}
