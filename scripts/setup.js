/*
 * Makes a fresh clone ready: builds dist/ and sets up the native engine. With nothing to do it takes a fraction of a second.
 * Where the engine can't be set up, maetok falls back to WebAssembly; the attempt is not repeated at every `npm test`.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from './build.js';

const root = fileURLToPath(new URL('..', import.meta.url));
const HOURS_BETWEEN_TRIES = 6;

try {
  if (await build()) say('built dist/');
} catch (error) {
  say(error.message);
  process.exit(1);
}
await setUpEngine();

async function setUpEngine() {
  const chosen = process.env.MAETOK_ENGINE;
  if (chosen === 'wasm' || chosen === 'js') return;
  const { engineCache, installedEngines, isCurrent } = await import('../dist/engine/installed.js');
  const installed = installedEngines();
  if (installed.some(isCurrent)) return;
  const record = join(engineCache(), 'install-failed.json');
  const earlier = readRecord(record);
  if (earlier) {
    goOn(`could not be set up at ${earlier.when} (${earlier.reason}) and is not tried again for some hours`, installed);
    return;
  }
  const what = installed.length > 0 ? 'again, as its kernels have changed' : 'once';
  say(`setting up the native engine, ${what}: a few minutes, about 1.2 GB of disk while it works`);
  const gpu = installed.some(({ build }) => build === 'gpu') ? ['--gpu'] : [];
  const install = [join(root, 'bin/maetok.js'), 'engine', 'install', ...gpu];
  const { status, signal, stderr } = spawnSync(process.execPath, install, { stdio: ['ignore', 2, 'pipe'] });
  const lines = stderr.toString().trim();
  if (status === 0) {
    rmSync(record, { force: true });
    say(lines.split('\n').at(-1));
    return;
  }
  const reason =
    lines
      .split('\n')
      .at(-1)
      ?.replace(/^maetok: /, '') || `ended by ${signal ?? status}`;
  if (status !== 130) remember(record, reason);
  goOn(`could not be set up: ${reason}`, installed);
}

/** Whether a failed attempt is too recent to try again. */
function readRecord(path) {
  try {
    const record = JSON.parse(readFileSync(path, 'utf8'));
    return Date.now() - Date.parse(record.when) < HOURS_BETWEEN_TRIES * 3600_000 ? record : undefined;
  } catch {
    return undefined;
  }
}

function remember(path, reason) {
  try {
    mkdirSync(join(path, '..'), { recursive: true });
    writeFileSync(path, `${JSON.stringify({ when: new Date().toISOString(), reason }, null, 2)}\n`);
  } catch {
    // If even that can't be written, the next run tries again.
  }
}

function goOn(why, installed) {
  const instead =
    installed.length > 0 ? 'the one that is there, whose kernels are not used' : 'WebAssembly, several times slower';
  say(`the native engine ${why}; going on with ${instead} (\`maetok engine install\` tries again)`);
}

function say(text) {
  process.stderr.write(`setup: ${text}\n`);
}
