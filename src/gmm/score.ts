import { gathered } from '../distributed/index.js';
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
  const own = ws.logDensity.slice(0, ws.layout.rows);
  return { mean, logs: await gathered(ws.communicator, own) };
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
