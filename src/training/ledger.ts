import { EXIT, UserError, type Log } from '../base/index.js';
import type { LoopState } from './checkpoint.js';
import { MeanWindow, readReport, type PendingReport } from './report.js';

/** Steps in a row whose loss or gradient may be other than finite before a run is given up. */
const MOST_SKIPS_IN_A_ROW = 10;

/** Continuing the run is pointless; its last good checkpoint is kept. */
export class Diverged extends UserError {}

/** The host's record of the steps: means since the last logged row, skipped steps. */
export class Ledger {
  private pending: PendingReport | undefined;
  private readonly window: MeanWindow;
  private skipped: number;
  private skippedInARow: number;
  /** Loss of the last step that counted. */
  loss: number | undefined;

  constructor(
    { window = {}, skipped = 0, skippedInARow = 0 }: Partial<LoopState>,
    private readonly log: Log,
  ) {
    this.window = new MeanWindow(window);
    this.skipped = skipped;
    this.skippedInARow = skippedInARow;
  }

  /** Files a step. The numbers of the one before are read now, while the device is at work on this one. */
  async file(report: PendingReport): Promise<void> {
    const before = this.pending;
    this.pending = report;
    if (before) await this.enter(before);
  }

  /** Reads what is still on the device. */
  async settle(): Promise<void> {
    const { pending } = this;
    this.pending = undefined;
    if (pending) await this.enter(pending);
  }

  private async enter(report: PendingReport): Promise<void> {
    const { step, counted, values } = await readReport(report);
    if (counted) {
      this.skippedInARow = 0;
      this.loss = values.loss;
      this.window.add(values);
      return;
    }
    this.skipped++;
    this.skippedInARow++;
    if (this.skipped === 1)
      this.log.warn(
        `step ${step}: the loss or its gradient is not finite; the step is skipped (metrics.csv counts skipped steps)`,
      );
    if (this.skippedInARow === MOST_SKIPS_IN_A_ROW)
      throw new Diverged(
        `step ${step}: the loss or its gradient was not finite in ${MOST_SKIPS_IN_A_ROW} steps in a row, so training stopped; the last good checkpoint is kept; try a lower --lr, a --warmup or a smaller --clip`,
        EXIT.failed,
      );
  }

  /** Means over the steps since the last row, then a fresh start. Without a step that counted the loss is NaN. */
  row(lr: number): Record<string, number> {
    const { loss = NaN, ...rest } = this.window.take();
    return { loss, ...rest, lr, skipped: this.skipped };
  }

  state(step: number): LoopState {
    return { step, skipped: this.skipped, skippedInARow: this.skippedInARow, window: this.window.saved };
  }

  /** For the progress line. */
  get note(): string {
    const loss = this.loss === undefined ? '' : `loss ${this.loss.toPrecision(4)}`;
    return this.skipped > 0 ? `${loss}, ${this.skipped} skipped` : loss;
  }
}
