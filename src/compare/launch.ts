import { z } from 'zod';
import { UserError } from '../base/index.js';
import { STEP_KINDS, type StepKind } from './names.js';

/*
 * `launch` of a study: what its steps ask for where mpirun or Slurm starts them. The words are those of Slurm's own options where it
 * has them.
 */

const positive = z.int().positive();

const resources = z
  .strictObject({
    partition: z.string(),
    account: z.string(),
    time: z.union([z.string(), positive]).describe('minutes, or as 8:00:00'),
    nodes: positive,
    ranks: positive.describe('processes that share the work, where a command can'),
    cpus: positive.describe('cores of each process'),
    memory: z.string().describe('of each node, as 32G'),
    gpus: z.union([z.string(), positive]).describe('of each node: a number, or a100:2'),
    'slurm-args': z.string().describe('further options of sbatch'),
  })
  .partial();

export const launchSchema = resources.extend({
  /** Starts ranks: `-n` and their number follow. */
  mpirun: z.string().optional(),
  /** Lines of the shell before each step. */
  setup: z.string().optional(),
  /** Whether Slurm starts an interrupted step again; default: it does. */
  requeue: z.boolean().optional(),
  /** Of some steps: of a kind (`train`), or of a series (`train mae`, whatever the seed). */
  steps: z.record(z.string(), resources).optional(),
});

export type Launch = z.output<typeof launchSchema>;

/** Command-line replacements for what all steps ask for. */
export interface LaunchOverrides {
  ranks?: number | undefined;
  mpirun?: string | undefined;
  slurmArgs?: string | undefined;
}

/** What one step asks for: the entries of its series go before its kind's, and these before those of all. */
export function resourcesOf(
  { steps = {}, ...all }: Launch,
  { ranks = all.ranks, slurmArgs }: LaunchOverrides,
  { kind, series }: { kind: StepKind; series: string },
): z.output<typeof resources> {
  const [ofKind, own] = [kind, series].map(key => (Object.hasOwn(steps, key) ? steps[key] : {}));
  const args = [all, ofKind, own, { 'slurm-args': slurmArgs }].flatMap(entry => entry['slurm-args'] ?? []);
  return { ...all, ranks, ...ofKind, ...own, 'slurm-args': args.join(' ') };
}

/** @throws UserError for entries of steps that the study does not have. */
export function refuseStrangers({ steps = {} }: Launch, series: string[]): void {
  const known = [...STEP_KINDS, ...series];
  const stranger = Object.keys(steps).find(key => !known.includes(key));
  if (stranger !== undefined)
    throw new UserError(
      `launch.steps.${stranger}: no such step; there are ${STEP_KINDS.join(', ')} and ${[...new Set(series)].join(', ')}`,
    );
}
