import { writeFileSync } from 'node:fs';
import { chartOf, parseTable, rasterise, renderSvg } from '../../src/report/index.js';
import { csvOf, type Row } from '../helpers/table.js';

type Cells = Record<string, string | number | null | undefined>;

const AXES = { kind: 'line', x: 'size', facet: 'panel', freeX: true, logX: true, logY: true } as const;

/** Draws the bench's table, a panel for each command and dimension: PATH-seconds and PATH-memory, .svg and .png. */
export async function drawGrowth(rows: Cells[], path: string): Promise<void> {
  const draw = async (lines: Row[], y: string, title: string): Promise<void> => {
    const svg = await renderSvg(chartOf(parseTable(csvOf(lines), 'growth'), { ...AXES, y, color: 'curve', title }));
    writeFileSync(`${path}-${y}.svg`, svg);
    writeFileSync(`${path}-${y}.png`, rasterise(svg));
  };
  await draw(rows.flatMap(secondsOf), 'seconds', 'Seconds over size, with the exponent of what grows');
  await draw(
    rows.map(row => ({
      panel: `${row.command}: ${row.dimension}`,
      size: Number(row.size),
      curve: 'peak',
      megabytes: Number(row.peak_mb),
    })),
    'megabytes',
    'Peak memory over size, in MB',
  );
}

/** A measurement's points on the curves of its panel. */
function secondsOf({ command, dimension, exponent, ...row }: Cells): Row[] {
  const fitted = typeof row.fixed_seconds === 'number' && typeof exponent === 'number';
  const panel = `${command}: ${dimension}${fitted ? ` ^ ${exponent.toFixed(2)}` : ', no fit'}`;
  const [size, seconds] = [Number(row.size), Number(row.seconds)];
  const measured: Row = { panel, size, curve: 'measured', seconds };
  if (!fitted) return [measured];
  const beyond = seconds - Number(row.fixed_seconds);
  return [
    measured,
    { panel, size, curve: 'fitted', seconds: Number(row.fitted_seconds) },
    ...(beyond > 0 ? [{ panel, size, curve: 'beyond the fixed part', seconds: beyond }] : []),
  ];
}
