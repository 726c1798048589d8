import { nativeBackend } from '../native.js';
import { javascriptAlgebra } from './javascript.js';
import { openLapack } from './lapack.js';
import type { LinearAlgebra } from './solver.js';
import { tensorflowAlgebra } from './tensorflow.js';

let lapack: LinearAlgebra | undefined | null = null;

/** The fastest that is here: a GPU, else LAPACK where it is installed, else TensorFlow on the CPU, else JavaScript. */
export function linearAlgebra(): LinearAlgebra {
  const native = nativeBackend();
  if (native?.binding.isUsingGpuDevice()) return tensorflowAlgebra;
  if (lapack === null) lapack = openLapack();
  return lapack ?? (native ? tensorflowAlgebra : javascriptAlgebra);
}

/** Every solver that works here, for tests and `doctor`. */
export function availableAlgebras(): LinearAlgebra[] {
  if (lapack === null) lapack = openLapack();
  return [...(lapack ? [lapack] : []), ...(nativeBackend() ? [tensorflowAlgebra] : []), javascriptAlgebra];
}
