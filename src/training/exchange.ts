import { setImmediate as nextTurn } from 'node:timers/promises';
import { concatenated } from '../base/index.js';
import type { Communicator } from '../distributed/index.js';
import { tf, type Tensor } from '../engine/index.js';
import type { Params } from '../nn/index.js';
import type { BufferRule, Seen } from './buffers.js';
import { GradientSum } from './gradient-sum.js';
import type { GradientSink, NetworkSums, StepSums } from './gradients.js';
import type { StepVerdict } from './guard.js';

/** What the ranks have to know of a network. */
export interface SharedNetwork {
  /** Parameters that gradients move, in the order of the forward pass; only their shapes are read. */
  trained: Params;
  /** How its buffers move, where it has some. */
  bufferRule: BufferRule | undefined;
}

/** What the ranks of a training tell each other in every step; all of them call the same functions in the same order. */
export class StepExchange implements GradientSink {
  private readonly gradients: Record<string, GradientSum>;

  constructor(
    private readonly communicator: Communicator,
    private readonly networks: Record<string, SharedNetwork>,
    private readonly seen: Seen,
  ) {
    this.gradients = Object.fromEntries(
      Object.entries(networks).map(([name, { trained }]) => [name, new GradientSum(communicator, trained)]),
    );
  }

  add(network: string, name: string, gradient: Tensor): void {
    this.gradients[network].add(name, gradient);
  }

  end(network: string): void {
    this.gradients[network].end();
  }

  pause(): Promise<void> | undefined {
    return Object.values(this.gradients).some(({ underWay }) => underWay) ? nextTurn() : undefined;
  }

  /**
   * Sums over all ranks in place of this rank's own, which it uses up, and whether any rank `stops`. `before`: parameters
   * before the step, by network.
   */
  async sums(
    own: StepSums,
    before: Record<string, Params>,
    stops: () => boolean,
  ): Promise<{ sums: StepSums; stops: boolean }> {
    const networks: StepSums['networks'] = {};
    for (const [name, { buffers, scalars }] of Object.entries(own.networks))
      networks[name] = {
        gradients: await this.gradients[name].sums(),
        buffers: await this.movedBuffers(name, before[name], buffers),
        scalars,
      };
    // Asked now that the gradients have been waited for, which was time to hear a signal.
    const stopping = tf.scalar(Number(stops()));
    const sums = await this.added<Params & { stopping: Tensor }>({ stopping, ...scalarsOf(networks) });
    const any = sums.stopping.dataSync()[0] > 0;
    sums.stopping.dispose();
    for (const [name, network] of Object.entries(networks))
      for (const key of Object.keys(network.scalars)) network.scalars[key] = sums[`${name} ${key}`];
    return { sums: { networks, parts: this.seen.all * this.seen.sharers }, stops: any };
  }

  private async movedBuffers(network: string, before: Params, after: Params): Promise<Params> {
    if (Object.keys(after).length === 0) return after;
    const { bufferRule: rule } = this.networks[network];
    if (!rule) throw new Error(`${network}: has buffers, but no rule for several ranks`);
    const change = rule.change(before, after, this.seen);
    tf.dispose(after);
    const sum = await this.added(change);
    const moved = rule.moved(before, sum, this.seen);
    tf.dispose(sum);
    return moved;
  }

  /** Sums over the ranks, each of all tensors in one go; uses up this rank's. */
  private async added<P extends Params>(tensors: P): Promise<P> {
    const all = Object.entries(tensors);
    const numbers = await this.exchanged(
      all.map(([, tensor]) => tensor),
      array => this.communicator.allReduceSum(array),
    );
    return Object.fromEntries(all.map(([name], i) => [name, numbers[i]])) as P;
  }

  /** Rank 0's verdict in place of this rank's: the same numbers may add up otherwise on another processor. */
  async agreed({ gate, factors, norms }: StepVerdict): Promise<StepVerdict> {
    const names = Object.keys(factors);
    const own = [gate, ...names.map(name => factors[name]), ...names.map(name => norms[name])];
    const [first, ...rest] = await this.exchanged(own, array => this.communicator.broadcast(array));
    const named = (tensors: Tensor[]): Record<string, Tensor> =>
      Object.fromEntries(names.map((name, i) => [name, tensors[i]]));
    return { gate: first, factors: named(rest.slice(0, names.length)), norms: named(rest.slice(names.length)) };
  }

  /** The tensors, which it uses up, after their numbers went through `exchange` in one array. */
  private async exchanged(tensors: Tensor[], exchange: (array: Float32Array) => Promise<void>): Promise<Tensor[]> {
    const array = concatenated(
      Float32Array,
      tensors.map(tensor => tensor.dataSync<'float32'>()),
    );
    await exchange(array);
    let at = 0;
    return tensors.map(tensor => {
      const { shape, size } = tensor;
      tensor.dispose();
      return tf.tensor(array.slice(at, (at += size)), shape);
    });
  }
}

const scalarsOf = (networks: Record<string, NetworkSums>): Params =>
  Object.fromEntries(
    Object.entries(networks).flatMap(([name, { scalars }]) =>
      Object.entries(scalars).map(([key, scalar]) => [`${name} ${key}`, scalar]),
    ),
  );
