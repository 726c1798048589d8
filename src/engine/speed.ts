import { matMul } from './matmul.js';
import type { EngineKind, Precision } from './names.js';
import { nativeBackend } from './native.js';
import { configureEngine, engineSettings } from './options.js';
import { tf } from './tf.js';

/** Sides of the matrices: large enough to fill the cores, small enough for a second or two. */
const SIDE: Record<EngineKind, number> = { gpu: 8192, native: 2048, stock: 2048, wasm: 1024, js: 256 };
const REPEATS = 5;

export interface Speed {
  /** Billions of floating-point operations a second in square products. */
  f32: number;
  /** Undefined on an engine that has no bfloat16. */
  bf16: number | undefined;
}

/** Multiplies matrices on the running engine and takes the best of a few runs. */
export function measureSpeed(kind: EngineKind, side = SIDE[kind]): Speed {
  const settings = engineSettings();
  const measure = (precision: Precision): number => {
    configureEngine({ ...settings, precision });
    try {
      return gigaflops(side);
    } finally {
      configureEngine(settings);
    }
  };
  return { f32: measure('f32'), bf16: nativeBackend() ? measure('bf16') : undefined };
}

function gigaflops(side: number): number {
  const a = tf.randomNormal([side, side]);
  const b = tf.randomNormal([side, side]);
  const seconds = Array.from({ length: REPEATS + 1 }, () => {
    const started = performance.now();
    const product = matMul(a, b);
    // A GPU computes asynchronously: reading back one number waits for it.
    const corner = product.slice([0, 0], [1, 1]);
    corner.dataSync();
    tf.dispose([product, corner]);
    return (performance.now() - started) / 1000;
  });
  tf.dispose([a, b]);
  // The first run warms up.
  return (2 * side ** 3) / Math.min(...seconds.slice(1)) / 1e9;
}
