import type { RowSource } from '../rows/index.js';
import type { Mixture } from './mixture.js';
import { install } from './model.js';
import { openWorkspace, type WorkspaceOptions } from './open-workspace.js';
import { expectation } from './steps.js';
import type { Workspace } from './workspace.js';

export interface Scores {
  /** Mean over the rows of log density, in nats. */
  mean: number;
  /** Each row's log density in nats, [rows]. */
  logs: Float32Array;
}

/** log p of every row of the workspace under a mixture. @throws FitError where a density is not finite. */
export async function scoreWorkspace(ws: Workspace, mixture: Mixture): Promise<Scores> {
  await install(ws, mixture);
  const mean = await expectation(ws, mixture.components);
  return { mean, logs: await ofAllRanks(ws, Float32Array.from(ws.logDensity.subarray(0, ws.layout.rows))) };
}

/** The numbers of all ranks' rows, in their order. */
async function ofAllRanks({ communicator, rows }: Workspace, own: Float32Array): Promise<Float32Array> {
  if (communicator.size === 1) return own;
  const all = new Uint8Array(4 * rows);
  let at = 0;
  for (const part of await communicator.allGather(new Uint8Array(own.buffer))) {
    all.set(part, at);
    at += part.length;
  }
  return new Float32Array(all.buffer);
}

/** log p of every row of a source [rows, dims] under a mixture. @throws FitError as `scoreWorkspace` and `openWorkspace`. */
export async function logDensities(
  mixture: Mixture,
  source: RowSource,
  options: Omit<WorkspaceOptions, 'components' | 'covariance'>,
): Promise<Scores> {
  const { components, covarianceType: covariance } = mixture;
  const ws = await openWorkspace(source, { ...options, components, covariance });
  try {
    return await scoreWorkspace(ws, mixture);
  } finally {
    await ws.close();
  }
}
