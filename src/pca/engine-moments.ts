import { ScatterOnEngine, tf, type ScatterSums } from '../engine/index.js';
import { alone, type Communicator, type Share } from '../distributed/index.js';
import { inBatches, type RowSource } from '../rows/index.js';
import type { Centre } from './centre.js';
import { ScatterByStrips } from './strips.js';

/** Rows of a panel, whose products the engine sums in single precision: more would not stay in a processor's last cache. */
export const ENGINE_PANEL = 1536;

/** Native engines multiply wider vectors than WebAssembly has: twice as fast for rows of thousands of numbers. */
export const engineIsNative = (): boolean => tf.getBackend() === 'tensorflow';

interface EngineOptions {
  onRows?: ((rows: number) => void) | undefined;
  signal?: AbortSignal | undefined;
  communicator?: Communicator | undefined;
}

/** One pass over the rank's rows, in panels of their own, so that their chunks make no difference. */
export async function engineSums(
  source: RowSource,
  share: Share,
  about: Centre,
  { onRows, signal, communicator = alone }: EngineOptions,
): Promise<ScatterSums> {
  const { rows: all, width } = source;
  const scatter = ScatterOnEngine.exists() ? new ScatterOnEngine(about) : new ScatterByStrips(about);
  let seen = 0;
  try {
    for await (const { rows, data } of inBatches(source, ENGINE_PANEL, share)) {
      signal?.throwIfAborted();
      scatter.add(data.subarray(0, rows * width));
      seen += rows;
      onRows?.(Math.min(all, seen * communicator.size));
    }
    return scatter.read();
  } finally {
    scatter.dispose();
  }
}
