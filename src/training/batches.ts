import type { TrainingTask } from './task.js';
import { disposeBatch } from './trainer.js';

/** A task's batches with the next one always under way, so that reading and computing overlap. */
export class BatchQueue {
  private ahead: { index: number; batch: Promise<unknown> } | undefined;

  constructor(
    private readonly task: TrainingTask,
    /** The index that is asked for after another, and the number of batches of the whole run. */
    private readonly after: (index: number) => number,
    private readonly end: number,
  ) {}

  async take(index: number): Promise<unknown> {
    const batch = this.ahead?.index === index ? this.ahead.batch : this.task.batch(index);
    const next = this.after(index);
    this.ahead = next < this.end ? { index: next, batch: this.request(next) } : undefined;
    return await batch;
  }

  /** A failure is reported when the batch is taken, not before. */
  private request(index: number): Promise<unknown> {
    const batch = this.task.batch(index);
    batch.catch(() => undefined);
    return batch;
  }

  async dispose(): Promise<void> {
    disposeBatch(await this.ahead?.batch.catch(() => undefined));
  }
}
