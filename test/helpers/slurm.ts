import { execFileSync, spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { freePorts } from './ports.js';

/** A cluster of Slurm on this machine: a controller and nodes n1 and n2, each with a host name and processes of its own. */
export interface SlurmCluster {
  /** For its commands. */
  env: Record<string, string>;
  /** Ends a node with all that runs on it, at once, as a power failure does. */
  crash(node: Node): Promise<void>;
  /** Starts a node again. */
  boot(node: Node): Promise<void>;
  /** Ends jobs, nodes and controller, and removes their files. */
  stop(): Promise<void>;
}

type Node = 'n1' | 'n2';
const NODES: readonly Node[] = ['n1', 'n2'];

/** Seconds after which a job that is to run again does; Slurm waits until the passes of its first run have expired. */
const REQUEUE_DELAY = 6;

const PROGRAMS = ['srun', 'slurmctld', 'slurmd', 'munged', 'runuser', 'unshare', 'mount'];

/** Why no cluster can be started here; undefined where one can. */
export function whyNoSlurm(): string | undefined {
  if (process.getuid?.() !== 0) return 'not root';
  const missing = PROGRAMS.filter(program => spawnSync('which', [program]).status !== 0);
  if (missing.length > 0) return `not installed: ${missing.join(', ')}; apt install slurm-wlm munge`;
  return spawnSync('unshare', [...APART, 'true']).status === 0 ? undefined : 'no namespaces';
}

/** A host name, mounts and processes of its own; these end with the process that is started. */
const APART = ['--uts', '--mount', '--pid', '--fork', '--kill-child', '--mount-proc'];

/** Starts a cluster whose nodes have so many cores, however many there are. @throws Error where a part of it does not come up. */
export async function startSlurm({ cpus = 4 } = {}): Promise<SlurmCluster> {
  const folder = mkdtempSync(join(tmpdir(), 'maetok-slurm-'));
  chmodSync(folder, 0o755);
  const env = { SLURM_CONF: join(folder, 'slurm.conf') };
  const running = new Map<string, ChildProcess>();
  const launch = (name: string, words: string[]): void => {
    const child = spawn(words[0], words.slice(1), { stdio: 'ignore', env: { ...process.env, ...env } });
    running.set(name, child);
  };
  const end = async (name: string, signal: NodeJS.Signals): Promise<void> => {
    const child = running.get(name);
    if (child?.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, 'exit');
    child.kill(signal);
    const late = setTimeout(() => child.kill('SIGKILL'), 5000);
    await ended;
    clearTimeout(late);
  };
  const boot = async (node: Node): Promise<void> => {
    const start = `hostname ${node} && mount --bind '${folder}/hosts' /etc/hosts && exec slurmd -D -N ${node}`;
    launch(node, ['unshare', ...APART, 'sh', '-c', start]);
    await until(() => states(env).get(node)?.startsWith('idle') === true, `${node} did not come up`, folder);
  };
  const cluster: SlurmCluster = {
    env,
    crash: node => end(node, 'SIGKILL'),
    boot,
    stop: async () => {
      spawnSync('scancel', ['--user=root', '--quiet'], { env: { ...process.env, ...env }, timeout: 5000 });
      await pause(200);
      for (const name of [...NODES, 'slurmctld']) await end(name, name === 'slurmctld' ? 'SIGTERM' : 'SIGKILL');
      await end('munged', 'SIGTERM');
      rmSync(folder, { recursive: true, force: true });
    },
  };
  try {
    await configure(folder, cpus);
    launch('munged', MUNGED(join(folder, 'munge')));
    await until(() => existsSync(join(folder, 'munge/sock')), 'munged did not come up', folder);
    launch('slurmctld', ['slurmctld', '-D']);
    await Promise.all(NODES.map(boot));
  } catch (error) {
    await cluster.stop();
    throw error;
  }
  return cluster;
}

const MUNGED = (folder: string): string[] => [
  ...['runuser', '-u', 'munge', '--', 'munged', '--foreground'],
  ...['socket', 'pid-file', 'log-file', 'seed-file'].map(
    option => `--${option}=${join(folder, option === 'socket' ? 'sock' : option)}`,
  ),
];

/** Names of nodes → how they stand. */
function states(env: Record<string, string>): Map<string, string> {
  const { stdout } = spawnSync('sinfo', ['--noheader', '--Node', '--format=%N %T'], {
    env: { ...process.env, ...env },
    encoding: 'utf8',
    timeout: 5000,
  });
  return new Map(stdout.split('\n').map(line => line.split(' ') as [string, string]));
}

async function until(holds: () => boolean, otherwise: string, folder: string): Promise<void> {
  const start = performance.now();
  while (!holds()) {
    if (performance.now() - start > 20_000) {
      const logs = ['slurmctld.log', 'slurmd.n1.log', 'slurmd.n2.log'].map(name => join(folder, name));
      const said = logs.filter(path => existsSync(path)).map(path => readFileSync(path, 'utf8').slice(-1000));
      throw new Error([otherwise, ...said].join('\n'));
    }
    await pause(100);
  }
}

async function configure(folder: string, cpus: number): Promise<void> {
  execFileSync('install', ['-d', '-o', 'munge', '-g', 'munge', '-m', '755', join(folder, 'munge')]);
  for (const name of ['state', 'spool', 'tmp.n1', 'tmp.n2']) mkdirSync(join(folder, name));
  const host = hostname().split('.')[0];
  writeFileSync(join(folder, 'hosts'), `127.0.0.1 localhost ${host} ${NODES.join(' ')}\n`);
  const [port, ...ports] = await freePorts(1 + NODES.length);
  const nodes = NODES.map(
    (node, i) => `NodeName=${node} NodeAddr=127.0.0.1 Port=${ports[i]} CPUs=${cpus} RealMemory=1000`,
  );
  writeFileSync(
    join(folder, 'slurm.conf'),
    `ClusterName=test
SlurmctldHost=${host}(127.0.0.1)
SlurmctldPort=${port}
AuthInfo=socket=${folder}/munge/sock,cred_expire=${REQUEUE_DELAY}
SlurmUser=root
SlurmdUser=root
StateSaveLocation=${folder}/state
SlurmdSpoolDir=${folder}/spool/%n
SlurmctldPidFile=${folder}/slurmctld.pid
SlurmdPidFile=${folder}/slurmd.%n.pid
SlurmctldLogFile=${folder}/slurmctld.log
SlurmdLogFile=${folder}/slurmd.%n.log
TmpFS=${folder}/tmp.%n
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerParameters=sched_interval=1,bf_interval=1,batch_sched_delay=0
SlurmdParameters=config_overrides
SlurmdTimeout=10
ReturnToService=2
MailProg=/bin/true
${nodes.join('\n')}
PartitionName=main Nodes=ALL Default=YES MaxTime=60 State=UP
`,
  );
}
