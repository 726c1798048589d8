import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

const child = fileURLToPath(new URL('../io/holding-child.ts', import.meta.url));

/** Runs `body` while another process holds `folder`; that process is killed with SIGKILL at the end. */
export async function whileHeld(folder: string, body: (holder: ChildProcess) => Promise<void>): Promise<void> {
  const holder = spawn(process.execPath, ['--import', 'tsx', child, folder], { stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = once(holder, 'exit');
  try {
    await once(holder.stdout, 'data');
    await body(holder);
  } finally {
    holder.kill('SIGKILL');
    await ended;
  }
}
