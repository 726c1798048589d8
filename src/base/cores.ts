import { availableParallelism } from 'node:os';

let sharing = 1;

/** Says that so many processes share the cores that this one may use, itself included. */
export function shareCores(processes: number): void {
  sharing = processes;
}

/** Threads that this process should use when nobody says otherwise: its part of the cores that it may run on. */
export const availableCores = (): number => Math.max(1, Math.floor(availableParallelism() / sharing));
