import { moveTowards, tf, variable, type Tensor } from '../engine/index.js';
import type { Params } from './params.js';

/** An exponential moving average of weights, a ← decay · a + (1 − decay) · p, started at the weights themselves. */
export interface MovingAverage {
  /** `gate`: scalar, 1 or 0; with 0 nothing moves. */
  update(params: Params, gate?: Tensor): void;
  /** The average now; the caller's to dispose of before the next update. */
  read(): Params;
  restore(values: Params): void;
  dispose(): void;
}

/**
 * The exponential moving average of parameters: average ← decay · average + (1 − decay) · value, begun at the values given.
 * The averages are its own copies; `dispose` frees them.
 */
export function movingAverage(params: Params, decay: number): MovingAverage {
  const averages = new Map(Object.entries(params).map(([name, value]) => [name, variable(value)]));
  return {
    update: (now, gate = tf.scalar(1)) =>
      tf.tidy(() => {
        const share = gate.mul<Tensor>(1 - decay);
        moveTowards(
          [...averages].map(([name, average]) => [average, now[name]]),
          share,
        );
      }),
    read: () => Object.fromEntries([...averages].map(([name, average]) => [name, average.read()])),
    restore: values => {
      for (const [name, average] of averages) average.assign(values[name]);
    },
    dispose: () => {
      for (const average of averages.values()) average.dispose();
    },
  };
}
