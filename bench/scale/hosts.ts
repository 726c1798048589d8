import { execFileSync } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/*
 * Two hosts on one machine: network namespaces with a link between them. Each host's processes run on a core of their own
 * and see a host name of their own.
 */

const NAMES = ['maetok1', 'maetok2'] as const;
const ADDRESSES = ['10.77.0.1', '10.77.0.2'] as const;

export interface Hosts {
  addresses: readonly [string, string];
  /** The words that start a command on one of the two. */
  on(host: 0 | 1): string[];
  /** The words that start a command as one rank on each. */
  mpirun: string[];
  /** Limits the link both ways, in Gbit/s. */
  limit(gigabits: number): void;
  close(): void;
}

const run = (command: string, ...args: string[]): void =>
  void execFileSync(command, args, { stdio: ['ignore', 'ignore', 'pipe'] });

/** Needs root, `ip`, `tc`, and Open MPI. */
export function openHosts(): Hosts {
  const folder = mkdtempSync(join(tmpdir(), 'maetok-hosts-'));
  const close = (): void => {
    for (const name of NAMES) {
      try {
        run('ip', 'netns', 'del', name);
      } catch {
        // Not there.
      }
    }
    rmSync(folder, { recursive: true, force: true });
  };
  for (const name of NAMES) run('ip', 'netns', 'add', name);
  run('ip', 'link', 'add', 'v0', 'netns', NAMES[0], 'type', 'veth', 'peer', 'name', 'v1', 'netns', NAMES[1]);
  NAMES.forEach((name, i) => {
    run('ip', '-n', name, 'link', 'set', 'lo', 'up');
    run('ip', '-n', name, 'addr', 'add', `${ADDRESSES[i]}/24`, 'dev', `v${i}`);
    run('ip', '-n', name, 'link', 'set', `v${i}`, 'up');
  });
  const enter = join(folder, 'enter');
  const cores = NAMES.map((name, i) => `${name}) core=${i};;`).join(' ');
  writeFileSync(
    enter,
    `#!/bin/sh\nhost=$1; shift\ncase $host in ${cores} esac\nexec ip netns exec $host taskset -c $core unshare -u sh -c 'hostname "$0"; exec "$@"' $host "$@"\n`,
  );
  const agent = join(folder, 'agent');
  writeFileSync(agent, `#!/bin/sh\nhost=$1; shift\nexec ${enter} $host sh -c "$*"\n`);
  for (const script of [enter, agent]) chmodSync(script, 0o755);
  const hostfile = join(folder, 'hosts');
  writeFileSync(hostfile, NAMES.map(name => `${name} slots=1\n`).join(''));
  const network = ['oob_tcp_if_include', 'btl_tcp_if_include'].flatMap(name => ['--mca', name, '10.77.0.0/24']);
  return {
    addresses: ADDRESSES,
    on: host => [enter, NAMES[host]],
    mpirun: [
      ...[enter, NAMES[0], 'mpirun.openmpi', '--hostfile', hostfile, '--mca', 'plm_rsh_agent', agent],
      ...['--mca', 'btl', 'tcp,self', ...network, '--bind-to', 'none', '-np', '2'],
    ],
    limit: gigabits =>
      NAMES.forEach((name, i) => {
        const shape = ['tbf', 'rate', `${gigabits}gbit`, 'burst', '256kb', 'latency', '50ms'];
        run('ip', 'netns', 'exec', name, 'tc', 'qdisc', 'replace', 'dev', `v${i}`, 'root', ...shape);
      }),
    close,
  };
}
