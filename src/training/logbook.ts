import { CsvTable, type CsvRow } from './csv-table.js';
import type { RunFolder } from './run.js';
import type { EvaluationRows } from './task.js';
import { TensorBoardWriter } from './tensorboard.js';

/** The tables that a run writes: CSV, truncated to a checkpoint's step on resume, and TensorBoard events. */
export class Logbook {
  private readonly open = new Map<string, CsvTable>();

  private constructor(
    private readonly run: RunFolder,
    private readonly events: TensorBoardWriter,
  ) {}

  /** `step`: updates done so far. */
  static async open(run: RunFolder, step: number): Promise<Logbook> {
    const logbook = new Logbook(run, new TensorBoardWriter(run.folder, step));
    for (const name of run.tables) logbook.open.set(name, await CsvTable.resume(run.path(`${name}.csv`), step));
    return logbook;
  }

  /** A row of metrics.csv. `rates` (wall-clock numbers) go to TensorBoard alone, so that equal runs have equal tables. */
  async metrics(step: number, values: Record<string, number>, rates: Record<string, number>): Promise<void> {
    await this.rows('metrics', [{ step, ...values }]);
    this.events.scalars(step, { ...values, ...rates });
  }

  async evaluation(step: number, tables: EvaluationRows): Promise<void> {
    for (const [name, rows] of Object.entries(tables))
      await this.rows(
        name,
        rows.map(row => ({ step, ...row })),
      );
    const [validation = {}] = 'validation' in tables ? tables.validation : [];
    const numbers = Object.entries(validation).flatMap(([name, value]) =>
      typeof value === 'number' ? [[`validation/${name}`, value] as const] : [],
    );
    this.events.scalars(step, Object.fromEntries(numbers));
  }

  private async rows(name: string, rows: CsvRow[]): Promise<void> {
    let table = this.open.get(name);
    if (!table) {
      await this.run.addTable(name);
      table = await CsvTable.start(this.run.path(`${name}.csv`));
      this.open.set(name, table);
    }
    await table.append(rows);
  }
}
