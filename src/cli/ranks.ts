import { readdirSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { availableCores, shareCores } from '../base/index.js';
import { alone, joinRanks, launchOf, type Communicator } from '../distributed/index.js';

/** In which rank 0 ends all ranks where they fail alike, so that a fault is told once. */
const HEAD_START_MS = 3000;
/** In which ranks that save their state for an interruption wait for each other. */
const SAVING_MS = 25_000;

export interface RankProcess {
  env: NodeJS.ProcessEnv;
  /** Ends the process, for a reason that it gives if there is one. */
  exit: (code: number, message?: string) => never;
}

/** The ranks of which a launcher has started this process as one; `alone` where it has not, or as the only one. */
export async function openRanks({ env, exit }: RankProcess): Promise<Communicator> {
  const launch = launchOf(env);
  if (launch === undefined || launch.size === 1) return alone;
  try {
    const { communicator, sharing } = await joinRanks(launch, { env, lost: exit });
    shareCores(sharing);
    shareDevices(communicator, sharing, env);
    return communicator;
  } catch (error) {
    if (launch.rank > 0) await letFirstTell();
    throw error;
  }
}

/**
 * One GPU for each rank of a host, and for libraries that count threads for themselves the rank's part of the cores. What the user
 * or the launcher has chosen stays.
 */
function shareDevices({ localRank, localSize }: Communicator, sharing: number, env: NodeJS.ProcessEnv): void {
  if (sharing > 1)
    for (const name of ['TF_NUM_INTRAOP_THREADS', 'OMP_NUM_THREADS', 'OPENBLAS_NUM_THREADS'])
      env[name] ??= String(availableCores());
  const visible = env.CUDA_VISIBLE_DEVICES?.split(',') ?? presentGpus();
  if (visible.length > 1 || (visible.length === 1 && env.CUDA_VISIBLE_DEVICES === undefined))
    env.CUDA_VISIBLE_DEVICES = visible[localRank % Math.max(1, Math.min(visible.length, localSize))];
}

function presentGpus(): string[] {
  try {
    const devices = readdirSync('/dev').flatMap(name => /^nvidia(\d+)$/.exec(name)?.[1] ?? []);
    return devices
      .map(Number)
      .sort((a, b) => a - b)
      .map(String);
  } catch {
    return [];
  }
}

/** `2 ranks on 1 host, 1 thread each`. */
export function describeRanks({ size, hosts }: Communicator): string {
  const threads = availableCores();
  return `${size} ranks on ${hosts} ${hosts === 1 ? 'host' : 'hosts'}, ${threads} ${threads === 1 ? 'thread' : 'threads'} each`;
}

/** Gives rank 0 the time to tell a fault that all ranks share and to end them. */
export const letFirstTell = (): Promise<void> => pause(HEAD_START_MS);

/** Takes leave of the other ranks: waits for them after success or an interruption, ends them after a failure. */
export async function leaveRanks(communicator: Communicator, end: 'done' | 'interrupted' | 'failed', code: number) {
  if (communicator.size === 1) return;
  if (end === 'failed') await communicator.abort(code);
  const timeout =
    end === 'interrupted' ? pause(SAVING_MS, 'late', { ref: false }) : new Promise<never>(() => undefined);
  if ((await Promise.race([communicator.close(), timeout])) === 'late') await communicator.abort(code);
}
