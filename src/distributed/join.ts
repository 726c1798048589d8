import { hostname } from 'node:os';
import { readFileSync } from 'node:fs';
import { EXIT, UserError, VERSION } from '../base/index.js';
import type { Channel } from './channel.js';
import type { Communicator } from './communicator.js';
import { gatherValues } from './exchange.js';
import type { Launch } from './launcher.js';

export interface JoinOptions {
  env: Record<string, string | undefined>;
  /** Called where another rank has gone (with a message) or has ended all with a code. */
  lost: (code: number, message?: string) => void;
}

/** What a rank finds around it. */
export interface Ranks {
  communicator: Communicator;
  /** Processes of this host that may use the cores that this one may: one where each is bound to its own. */
  sharing: number;
}

/**
 * Joins the other processes that a launcher has started: through MPI where mpirun, mpiexec or srun's MPI plugin has, else
 * by connections of our own. @throws UserError where they cannot be joined or run another version.
 */
export async function joinRanks(launch: Launch, options: JoinOptions): Promise<Ranks> {
  const channel = await openChannel(launch, options);
  const own = { version: VERSION, host: hostname(), cores: allowedCores() };
  const all = await gatherValues(channel, own);
  const other = all.findIndex(({ version }) => version !== all[0].version);
  if (other > 0)
    throw new UserError(
      `rank 0 (${all[0].host}) runs maetok ${all[0].version}, rank ${other} (${all[other].host}) ${all[other].version}; all hosts need the same version`,
      EXIT.failed,
    );
  const here = all.map(({ host }, rank) => ({ host, rank })).filter(({ host }) => host === own.host);
  const communicator: Communicator = {
    ...channel,
    localRank: here.findIndex(({ rank }) => rank === channel.rank),
    localSize: here.length,
    hosts: new Set(all.map(({ host }) => host)).size,
    broadcast: (array, root = 0) => channel.broadcast(array, root),
  };
  const sharing = all.filter(({ host, cores }) => host === own.host && cores === own.cores).length;
  return { communicator, sharing };
}

async function openChannel(launch: Launch, { env, lost }: JoinOptions): Promise<Channel> {
  if (launch.launcher === 'Open MPI' || launch.launcher === 'MPICH') {
    const { joinMpi } = await import('./mpi/index.js');
    return await joinMpi(launch);
  }
  const { joinByTcp, meetingPoint } = await import('./tcp/index.js');
  return await joinByTcp(launch, meetingPoint(launch.launcher, env), { lost });
}

/** Which cores the launcher has bound this process to, in the kernel's words. */
function allowedCores(): string {
  try {
    return /^Cpus_allowed_list:\s*(.*)$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1] ?? '';
  } catch {
    return ''; // Not Linux: processes are not bound.
  }
}
