import { inPhase } from '../../../base/index.js';
import { alignment as alignmentOf, type RowSample } from '../../../diagnose/index.js';
import { randomRows, sampleOf } from '../../../rows/index.js';
import type { Measured, Task } from '../task.js';

/** Whether images that are near to one another are so in given features too. */
export async function alignment({
  name,
  tokens,
  rows: source,
  sample: draw,
  settings: { features, neighbours: k, sample: most, seed },
  ranks: { communicator },
  log,
}: Task): Promise<Measured[]> {
  if (!features) return [];
  const other = await sampleOf(features, randomRows(source.rows, most, seed), communicator);
  const sample = await draw();
  const views: [string, RowSample][] = [['flattened', sample]];
  if (tokens > 1) views.push(['mean', tokenMeans(sample, tokens)]);
  const measured: Measured[] = [];
  for (const [view, own] of views) {
    const phase = { label: `${name}: alignment, ${view}`, total: sample.rows, unit: 'rows' };
    const { cknna, mutualNeighbours } = await inPhase(log, phase, () => alignmentOf(own, other, k, communicator));
    const setting = `${view} k=${k}`;
    measured.push(
      { measure: 'cknna', value: cknna, setting, rows: sample.rows },
      { measure: 'mutual_neighbours', value: mutualNeighbours, setting, rows: sample.rows },
    );
  }
  return measured;
}

function tokenMeans({ rows, width, data }: RowSample, tokens: number): RowSample {
  const channels = width / tokens;
  const out = new Float32Array(rows * channels);
  data.forEach((value, at) => {
    out[Math.floor(at / width) * channels + (at % channels)] += value / tokens;
  });
  return { rows, width: channels, data: out };
}
