import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';

/*
 * Several hosts on one machine: network namespaces on one switch. Each host's processes see a host name and a core of their
 * own, or a share of a core where the hosts are more than the cores.
 */

const NETWORK = '10.77.0';
const CPU_GROUPS = '/sys/fs/cgroup/cpu';
/** Short, so that a host never waits long for its turn. */
const PERIOD_US = 4000;

export interface Hosts {
  addresses: string[];
  /** The words that start a command on one of them. */
  on(host: number): string[];
  /** The words that start a command as one rank on each of the first hosts; default all. */
  mpirun(ranks?: number): string[];
  /** Limits what each host sends, in Gbit/s. */
  limit(gigabits: number): void;
  /** Takes a host's link down, or up again. */
  link(host: number, state: 'down' | 'up'): void;
  /** Numbers of the processes on a host. */
  processes(host: number): number[];
  close(): void;
}

export interface HostOptions {
  count?: number;
  /** Of a core, what each host has; needs the cpu controller of cgroup v1. */
  coreShare?: number;
}

const run = (command: string, ...args: string[]): string =>
  execFileSync(command, args, { stdio: ['ignore', 'pipe', 'pipe'], encoding: 'utf8' });

/** Opens them, or says in a line why this machine cannot have them. */
export function hostsOrReason(options?: HostOptions): Hosts | string {
  if (spawnSync('mpirun.openmpi', ['--version']).status !== 0) return 'no mpirun.openmpi';
  try {
    return openHosts(options);
  } catch (error) {
    return (error as Error).message.split('\n')[0];
  }
}

/** Needs root, `ip` and `tc`. */
function openHosts({ count = 2, coreShare = 1 }: HostOptions = {}): Hosts {
  const folder = mkdtempSync(join(tmpdir(), 'maetok-hosts-'));
  // Of this process, so that others may have hosts at the same time.
  const [hub, ...names] = Array.from({ length: count + 1 }, (_, i) => `maetok${process.pid}-${i}`);
  const groups = join(folder, 'groups');
  const close = (): void => {
    [hub, ...names].forEach(name => attempt(() => run('ip', 'netns', 'del', name)));
    if (coreShare < 1) {
      attempt(() => run('umount', groups));
      names.forEach(name => attempt(() => rmdirSync(join(CPU_GROUPS, name))));
    }
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    connect(hub, names);
    if (coreShare < 1) {
      names.forEach(name => limitCore(name, coreShare));
      // A namespace's /sys shows no groups.
      mkdirSync(groups);
      run('mount', '--bind', CPU_GROUPS, groups);
    }
    const enter = writeEnter(folder, names, coreShare < 1 ? groups : undefined);
    const agent = join(folder, 'agent');
    writeScript(agent, `host=$1; shift\nexec ${enter} $host sh -c "$*"\n`);
    const hostfile = join(folder, 'hosts');
    writeFileSync(hostfile, names.map(name => `${name} slots=1\n`).join(''));
    const network = ['oob_tcp_if_include', 'btl_tcp_if_include'].flatMap(name => ['--mca', name, `${NETWORK}.0/24`]);
    return {
      addresses: names.map(addressOf),
      on: host => [enter, names[host]],
      mpirun: (ranks = count) => [
        ...[enter, names[0], 'mpirun.openmpi', '--hostfile', hostfile, '--mca', 'plm_rsh_agent', agent],
        ...['--mca', 'btl', 'tcp,self', ...network, '--bind-to', 'none', '-np', `${ranks}`],
      ],
      limit: gigabits =>
        names.forEach((name, i) => {
          const shape = ['tbf', 'rate', `${gigabits}gbit`, 'burst', '256kb', 'latency', '50ms'];
          run('ip', 'netns', 'exec', name, 'tc', 'qdisc', 'replace', 'dev', `v${i}`, 'root', ...shape);
        }),
      link: (host, state) => void run('ip', '-n', names[host], 'link', 'set', `v${host}`, state),
      processes: host => run('ip', 'netns', 'pids', names[host]).split('\n').filter(Boolean).map(Number),
      close,
    };
  } catch (error) {
    close();
    throw error;
  }
}

const addressOf = (_: string, i: number): string => `${NETWORK}.${i + 1}`;

/** One namespace each, its interface v0, v1, … on the switch. */
function connect(hub: string, names: string[]): void {
  for (const name of [hub, ...names]) run('ip', 'netns', 'add', name);
  run('ip', '-n', hub, 'link', 'add', 'switch', 'type', 'bridge');
  run('ip', '-n', hub, 'link', 'set', 'switch', 'up');
  names.forEach((name, i) => {
    const port = `p${i}`;
    run('ip', 'link', 'add', `v${i}`, 'netns', name, 'type', 'veth', 'peer', 'name', port, 'netns', hub);
    run('ip', '-n', hub, 'link', 'set', port, 'master', 'switch', 'up');
    run('ip', '-n', name, 'link', 'set', 'lo', 'up');
    run('ip', '-n', name, 'addr', 'add', `${addressOf(name, i)}/24`, 'dev', `v${i}`);
    run('ip', '-n', name, 'link', 'set', `v${i}`, 'up');
  });
}

function limitCore(name: string, share: number): void {
  const group = join(CPU_GROUPS, name);
  mkdirSync(group, { recursive: true });
  writeFileSync(join(group, 'cpu.cfs_period_us'), `${PERIOD_US}`);
  writeFileSync(join(group, 'cpu.cfs_quota_us'), `${Math.round(share * PERIOD_US)}`);
}

/** The program `enter HOST COMMAND…`. */
function writeEnter(folder: string, names: string[], groups: string | undefined): string {
  const path = join(folder, 'enter');
  const cores = names.map((name, i) => `${name}) core=${i % availableParallelism()};;`).join(' ');
  writeScript(
    path,
    [
      `host=$1; shift`,
      `case $host in ${cores} esac`,
      ...(groups === undefined ? [] : [`echo $$ > ${groups}/$host/cgroup.procs`]),
      `exec ip netns exec $host taskset -c $core unshare -u sh -c 'hostname "$0"; exec "$@"' $host "$@"`,
      '',
    ].join('\n'),
  );
  return path;
}

function writeScript(path: string, body: string): void {
  writeFileSync(path, `#!/bin/sh\n${body}`);
  chmodSync(path, 0o755);
}

/** What may not be there. */
function attempt(work: () => void): void {
  try {
    work();
  } catch {
    // Then there is nothing to remove.
  }
}
