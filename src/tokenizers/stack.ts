import { tf, type Tensor } from '../engine/index.js';
import { recomputing, type Params } from '../nn/index.js';

/** Which named intermediates a caller wants; they are its own to free. Default: none. */
export type Wanted = (name: string) => boolean;

export const NOTHING: Wanted = () => false;

/** One layer: a function of x and of the other tensors that it reads, mainly parameters. */
export type Layer = (x: Tensor, inputs: Params, index: number) => Tensor;

export interface StackOptions {
  wanted?: Wanted | undefined;
  /** Keep a layer's input alone for the backward pass and compute the layer again in it (Chen et al. 2016). */
  recompute?: boolean | undefined;
  /** Everything that a layer reads besides x and that a gradient may be wanted of. */
  inputs: (index: number) => Params;
}

/**
 * x through `depth` layers one after the other. What is not wanted is freed as soon as the next layer has it, so that
 * a forward pass holds one layer; a tape keeps what its gradients need by itself.
 */
export function throughLayers(
  x: Tensor,
  depth: number,
  layer: Layer,
  { wanted = NOTHING, recompute = false, inputs }: StackOptions,
): { x: Tensor; activations: Params } {
  const activations: Params = {};
  let current = x;
  for (let i = 0; i < depth; i++) {
    const next = recompute ? recomputed(layer, current, inputs(i), i) : tf.tidy(() => layer(current, inputs(i), i));
    const name = `blocks.${i}`;
    if (wanted(name)) activations[name] = next;
    if (i > 0 && !Object.hasOwn(activations, `blocks.${i - 1}`)) current.dispose();
    current = next;
  }
  return { x: current, activations };
}

/** A layer that keeps what it read and nothing that it made: the backward pass makes it again, under a tape of its own. */
function recomputed(layer: Layer, x: Tensor, inputs: Params, index: number): Tensor {
  const names = Object.keys(inputs);
  const run = (first: Tensor, ...rest: Tensor[]): Tensor =>
    layer(first, Object.fromEntries(rest.map((tensor, i) => [names[i], tensor])), index);
  return recomputing(run)(x, ...Object.values(inputs));
}
