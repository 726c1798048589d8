import type { TrainingTask } from './task.js';
import { disposeBatch } from './trainer.js';

/** A task's batches with the next one always under way, so that reading and computing overlap. */
export class BatchQueue {
  private ahead: { index: number; batch: Promise<unknown> } | undefined;

  constructor(
    private readonly task: TrainingTask,
    /** Number of batches that the run will ask for. */
    private readonly end: number,
  ) {}

  async take(index: number): Promise<unknown> {
    const batch = this.ahead?.index === index ? this.ahead.batch : this.task.batch(index);
    this.ahead = index + 1 < this.end ? { index: index + 1, batch: this.request(index + 1) } : undefined;
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
