import { existsSync, mkdirSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/*
 * Ranks that each have a part of a core, so that more of them than there are cores work as fast as if each had its own slower
 * one: a control group per rank, with a quota of processor time. Needs root.
 */

const PERIOD_US = 10_000;

export interface Quotas {
  /** The words that start a command as a rank within its quota; which rank it is, mpirun says in its environment. */
  words: string[];
  close(): void;
}

/** `share` of a core for each of so many ranks; undefined where the system has no such control groups. */
export function openQuotas(ranks: number, share: number): Quotas | undefined {
  const v1 = existsSync('/sys/fs/cgroup/cpu/cpu.cfs_quota_us') || existsSync('/sys/fs/cgroup/cpu/cgroup.procs');
  const root = v1 ? '/sys/fs/cgroup/cpu' : '/sys/fs/cgroup';
  const quota = Math.round(share * PERIOD_US);
  const folders = Array.from({ length: ranks }, (_, rank) => join(root, `maetok-scale-${rank}`));
  try {
    for (const folder of folders) {
      mkdirSync(folder, { recursive: true });
      if (v1) {
        writeFileSync(join(folder, 'cpu.cfs_period_us'), String(PERIOD_US));
        writeFileSync(join(folder, 'cpu.cfs_quota_us'), String(quota));
      } else writeFileSync(join(folder, 'cpu.max'), `${quota} ${PERIOD_US}`);
    }
  } catch {
    return undefined;
  }
  const enter = `echo $$ > ${join(root, 'maetok-scale-')}$\{OMPI_COMM_WORLD_RANK:-0}/cgroup.procs; exec "$0" "$@"`;
  return {
    words: ['sh', '-c', enter],
    close: () => {
      for (const folder of folders) rmdirSync(folder);
    },
  };
}
