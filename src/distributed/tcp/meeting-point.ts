import { EXIT, UserError } from '../../base/index.js';
import type { Launcher } from '../launcher.js';

/** Where ranks find each other without MPI. */
export interface MeetingPoint {
  /** The host of rank 0. */
  host: string;
  /** Ports that rank 0 tries in turn. */
  ports: number[];
  /** What tells this job's ranks from others' at those ports. */
  job: string;
}

type Environment = Record<string, string | undefined>;

const PORTS = 16;
/** Below the range from which systems draw ports for outgoing connections. */
const LOWEST_PORT = 20_000;
const HIGHEST_PORT = 32_000;

/** What torchrun or Slurm say of where rank 0 runs. @throws UserError where they don't. */
export function meetingPoint(launcher: Launcher, env: Environment): MeetingPoint {
  return launcher === 'torchrun' ? ofTorchrun(env) : ofSlurm(env);
}

/** At MASTER_PORT torchrun itself listens. */
function ofTorchrun(env: Environment): MeetingPoint {
  const port = Number(env.MASTER_PORT);
  if (!Number.isInteger(port) || port < 1 || port > 65_535 - PORTS)
    throw new UserError(
      'RANK and WORLD_SIZE are set but MASTER_PORT is not; start with `torchrun --no-python maetok …`',
      EXIT.failed,
    );
  return { host: env.MASTER_ADDR!, ports: portsFrom(port + 1), job: `torchrun ${env.TORCHELASTIC_RUN_ID} ${port}` };
}

function ofSlurm(env: Environment): MeetingPoint {
  const step = `${env.SLURM_JOB_ID}.${env.SLURM_STEP_ID}`;
  const spread = (Number(env.SLURM_JOB_ID) * 101 + Number(env.SLURM_STEP_ID)) * PORTS;
  return {
    host: env.MASTER_ADDR ?? (env.SLURM_STEP_NUM_NODES === '1' ? '127.0.0.1' : firstHost(env.SLURM_STEP_NODELIST)),
    ports: portsFrom(LOWEST_PORT + (spread % (HIGHEST_PORT - LOWEST_PORT))),
    job: `Slurm ${step}`,
  };
}

const portsFrom = (first: number): number[] => Array.from({ length: PORTS }, (_, i) => first + i);

/** The first of Slurm's list of hosts: `gpu[01-03,07]-ib,login` → gpu01-ib. */
function firstHost(list: string | undefined): string {
  const found = /^([^,[]+)(?:\[(\d*)[^\]]*\]([^,]*))?/.exec(list ?? '');
  if (!found)
    throw new UserError(
      'srun names no hosts (SLURM_STEP_NODELIST); set MASTER_ADDR to the host of rank 0',
      EXIT.failed,
    );
  return found.slice(1).join('');
}
