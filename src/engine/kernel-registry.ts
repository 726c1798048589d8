import type { TensorInfo } from '@tensorflow/tfjs';
import { tf } from './tf.js';

/* TensorFlow.js's kernels as functions that can be called and replaced. */

/** What every backend in JavaScript does for its kernels. */
export interface Backend {
  disposeData(dataId: object): boolean;
}

export type Kernel<B extends Backend = Backend> = (
  inputs: Record<string, TensorInfo>,
  backend: B,
  attrs: object,
) => TensorInfo;

/** The kernel that is registered now. */
export function kernelOf(name: string, backendName: string): Kernel {
  const { kernelFunc } = tf.getKernel(name, backendName);
  return (inputs, backend, attrs) => kernelFunc({ inputs, backend, attrs: attrs as never }) as TensorInfo;
}

export function replaceKernel<B extends Backend>(kernelName: string, backendName: string, kernel: Kernel<B>): void {
  tf.unregisterKernel(kernelName, backendName);
  tf.registerKernel({
    kernelName,
    backendName,
    kernelFunc: ({ inputs, backend, attrs }) => kernel(inputs as Record<string, TensorInfo>, backend as B, attrs ?? {}),
  });
}

const mended = new Set<string>();

/** Runs `mend` unless `what` was mended before, a backend or another part: an engine may be started again. */
export function mendOnce(what: string, mend: () => void): void {
  if (mended.has(what)) return;
  mended.add(what);
  mend();
}
