import { nativeBackend, runOp } from './native.js';
import { tf, type Tensor } from './tf.js';

/* Whether the running TensorFlow has the kernels of native/, and whether they may be used. */

let compiled = false;
let product = false;
let allowed = true;

/** Whether layers use the kernels: on the processor, where the engine was compiled with this version's. */
export const hasKernels = (): boolean => compiled && allowed && nativeBackend() !== undefined;

/** Whether products of matrices are ours as well: where native/processor-panels.h has panels for the processor. */
export const hasOwnProduct = (): boolean => product && hasKernels();

/** Called once TensorFlow has started: whether it was compiled with the kernels that this version calls. */
export function announceKernels(present: boolean): void {
  compiled = present && nativeBackend()?.binding.isUsingGpuDevice() === false && works('MaetokColumnSums', 1);
  product = compiled && works('MaetokMatrixProduct', 2);
}

/** Runs `body` on TensorFlow's own operations alone, to compare. */
export async function withoutKernels<T>(body: () => Promise<T>): Promise<T> {
  allowed = false;
  try {
    return await body();
  } finally {
    allowed = true;
  }
}

/** An old processor has no kernels even if they were compiled, and some have no products of ours. */
function works(op: string, inputs: number): boolean {
  try {
    tf.tidy(() => void runOp(op, new Array<Tensor>(inputs).fill(tf.ones([1, 1])), {}));
    return true;
  } catch {
    return false;
  }
}
