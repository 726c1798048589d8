import type { RowSource } from '../rows/index.js';
import { expectation } from './fit.js';
import type { Mixture } from './mixture.js';
import { install } from './model.js';
import { openWorkspace, type Workspace, type WorkspaceOptions } from './workspace.js';

export interface Scores {
  /** Mean over the rows of log density, in nats. */
  mean: number;
  /** Each row's log density. */
  logs: Float32Array;
}

/** log p of every row of the workspace under a mixture. */
export async function scoreWorkspace(ws: Workspace, mixture: Mixture): Promise<Scores> {
  await install(ws, mixture);
  const mean = await expectation(ws, mixture.components);
  const at = ws.layout.logDensity / 4;
  return { mean, logs: Float32Array.from(ws.f32.subarray(at, at + ws.rows)) };
}

/** log p of every row of a source under a mixture. */
export async function logDensities(
  mixture: Mixture,
  source: RowSource,
  options: Omit<WorkspaceOptions, 'components' | 'covariance'> & { memory: number; threads: number },
): Promise<Scores> {
  const { components, covarianceType: covariance } = mixture;
  const ws = await openWorkspace(source, { ...options, components, covariance });
  try {
    return await scoreWorkspace(ws, mixture);
  } finally {
    await ws.close();
  }
}
