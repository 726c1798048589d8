/** Programs that start processes which belong together. */
export type Launcher = 'Open MPI' | 'MPICH' | 'srun' | 'torchrun';

/** What a launcher has told this process in its environment. */
export interface Launch {
  launcher: Launcher;
  rank: number;
  size: number;
}

type Environment = Record<string, string | undefined>;

/**
 * Who has started this process, and as which of how many; undefined where nobody says so. The order matters: below mpirun or
 * mpiexec within a Slurm job, Slurm's variables are those of the launcher's helper, and in a batch script they name all
 * tasks although one process runs.
 */
export function launchOf(env: Environment): Launch | undefined {
  return (
    launch('Open MPI', env.OMPI_COMM_WORLD_RANK, env.OMPI_COMM_WORLD_SIZE) ??
    launch('MPICH', env.PMI_RANK, env.PMI_SIZE) ??
    (env.SLURM_STEP_ID === undefined
      ? undefined
      : launch(env.PMIX_RANK === undefined ? 'srun' : 'Open MPI', env.SLURM_PROCID, env.SLURM_NTASKS)) ??
    (env.MASTER_ADDR === undefined ? undefined : launch('torchrun', env.RANK, env.WORLD_SIZE))
  );
}

function launch(launcher: Launcher, rank: string | undefined, size: string | undefined): Launch | undefined {
  const [r, n] = [rank, size].map(word => (word !== undefined && /^\d+$/.test(word) ? Number(word) : NaN));
  return r < n ? { launcher, rank: r, size: n } : undefined;
}
