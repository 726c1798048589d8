import type { InPlace } from './kernels.js';
import { tf, type Tensor } from './tf.js';
import { addressIn, wasmBackend } from './wasm-backend.js';
import type { Elements } from './wasm-elements.js';

/* What training changes in place in the memory of TensorFlow.js's WebAssembly backend. */

let updates: InPlace | undefined;

/** Undefined where another backend runs. */
export const wasmUpdates = (): InPlace | undefined => (wasmBackend() === undefined ? undefined : updates);

export function openUpdates(elements: Elements): void {
  const address = (x: Tensor): number => addressIn(wasmBackend()!, x);
  updates = {
    holders: x => wasmBackend()!.dataIdMap.get(x.dataId).refCount,
    adam: (p, m, v, gradients, scalars) => {
      const numbers = scalars.dataSync();
      p.forEach((parameter, i) =>
        elements.adam(...([parameter, m[i], v[i], gradients[i]].map(address) as Four), parameter.size, ...numbers),
      );
    },
    momentum: (p, v, gradient, rate, scale, momentum) => {
      const columns = rate.size;
      const tables = [p, v, gradient].map(address) as [number, number, number];
      const factors = [rate, scale].map(address) as [number, number];
      for (let row = 0; row < 4 * p.size; row += 4 * columns)
        elements.momentum(tables[0] + row, tables[1] + row, tables[2] + row, ...factors, columns, momentum);
    },
    move: (xs, targets, share) => {
      const [part] = share.dataSync();
      xs.forEach((x, i) => elements.move(address(x), address(targets[i]), x.size, part));
    },
    squares: xs => tf.scalar(xs.reduce((sum, x) => sum + elements.squares(address(x), x.size), 0)),
  };
}

type Four = [number, number, number, number];
