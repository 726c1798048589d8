/** Carries out operations one at a time, in the order in which they were asked for. */
export class Queue {
  private last: Promise<unknown> = Promise.resolve();

  run<T>(operation: () => Promise<T>): Promise<T> {
    const result = this.last.then(operation);
    // Whoever asked hears of a failure; those after it fail by themselves.
    this.last = result.catch(() => undefined);
    return result;
  }
}
