import type { TensorInfo } from '@tensorflow/tfjs';
import { tf } from './tf.js';

/* TensorFlow.js's kernels as functions that can be called and replaced. */

/** The interface of JavaScript backends to their kernels. */
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

const fixed = new Set<string>();

/** Applies the fixes of `what`, a backend or another part, unless they were applied before: an engine may be started again. */
export function fixOnce(what: string, fix: () => void): void {
  if (fixed.has(what)) return;
  fixed.add(what);
  fix();
}
