import { valueOfFirst, type Communicator } from '../distributed/index.js';
import { tf, type Tensor } from '../engine/index.js';
import type { Params } from '../nn/index.js';

/**
 * So many numbers (8 MiB) are sent at a time: enough that a network's latency does not count, few enough that the
 * last ones, which no computation hides, are soon through.
 */
const BUCKET = 2 ** 21;

/** Where the gradient of a parameter is in its bucket. */
interface Place {
  bucket: number;
  numbers: Float32Array;
  shape: number[];
}

/**
 * The gradients of one network, summed over ranks while the backward pass that makes them goes on. All ranks send the
 * same buckets in the same order, which is that in which rank 0 had the gradients in its first step.
 */
export class GradientSum {
  private buckets: Float32Array[] = [];
  private places = new Map<string, Place>();
  /** What this step has so far: gradients, those that each bucket still lacks, buckets on their way. */
  private arrived: string[] = [];
  private missing: number[] = [];
  private sent: Promise<void>[] = [];
  /** By parameter, whether any rank has a gradient. */
  private present = new Float64Array(0);
  private steps = 0;
  private open = 0;

  /** `params`: those that may have a gradient, in the order of the forward pass; only their shapes are read. */
  constructor(
    private readonly communicator: Communicator,
    params: Params,
  ) {
    this.layOut(
      Object.entries(params)
        .map(([name, { shape }]) => [name, shape] as const)
        .reverse(),
    );
  }

  private layOut(shapes: (readonly [name: string, shape: number[]])[]): void {
    const groups = inBuckets(shapes);
    this.buckets = groups.map(members => {
      const sizes = members.map(([, shape]) => tf.util.sizeFromShape(shape));
      return new Float32Array(sizes.reduce((sum, size) => sum + size, 0));
    });
    this.places = new Map(
      groups.flatMap((members, bucket) => {
        let start = 0;
        return members.map(([name, shape]) => {
          const numbers = this.buckets[bucket].subarray(start, (start += tf.util.sizeFromShape(shape)));
          return [name, { bucket, numbers, shape }] as const;
        });
      }),
    );
    this.begin();
  }

  private begin(): void {
    this.arrived = [];
    this.sent = [];
    this.missing = this.buckets.map(() => 0);
    for (const { bucket } of this.places.values()) this.missing[bucket]++;
  }

  /** Takes over this rank's gradient of a parameter. */
  add(name: string, gradient: Tensor): void {
    this.places.get(name)!.numbers.set(gradient.dataSync<'float32'>());
    gradient.dispose();
    this.arrive(name);
  }

  private arrive(name: string): void {
    this.arrived.push(name);
    this.missing[this.places.get(name)!.bucket]--;
    while (this.missing[this.sent.length] === 0) this.send(this.buckets[this.sent.length]);
  }

  private send(numbers: Float32Array | Float64Array): void {
    this.open++;
    const sum = this.communicator.allReduceSum(numbers).finally(() => this.open--);
    // A failure is reported when the sums are asked for.
    sum.catch(() => undefined);
    this.sent.push(sum);
  }

  /** Whether something has been sent whose sum is not there yet. */
  get underWay(): boolean {
    return this.open > 0;
  }

  /** This rank has no further gradient in this step. */
  end(): void {
    const here = new Set(this.arrived);
    this.present = Float64Array.from(this.places.keys(), name => Number(here.has(name)));
    for (const [name, { numbers }] of this.places) {
      if (here.has(name)) continue;
      numbers.fill(0);
      this.arrive(name);
    }
    this.send(this.present);
  }

  /**
   * The sums over all ranks, after `end`; a parameter has none where no rank had a gradient. The caller disposes of them
   * before it adds the next step's, which take their memory.
   */
  async sums(): Promise<Params> {
    await Promise.all(this.sent);
    const found = [...this.places].filter((_, i) => this.present[i] > 0);
    const sums = Object.fromEntries(found.map(([name, { numbers, shape }]) => [name, tf.tensor(numbers, shape)]));
    if (++this.steps === 1) {
      const order = await valueOfFirst(this.communicator, this.arrived);
      this.layOut(order.map(name => [name, this.places.get(name)!.shape]));
    } else this.begin();
    return sums;
  }
}

/** Consecutive parameters in groups of at least a bucket's numbers, the last one excepted. */
function inBuckets<P extends readonly [name: string, shape: number[]]>(params: P[]): P[][] {
  const groups: P[][] = [];
  let room = 0;
  for (const param of params) {
    if (room <= 0) {
      groups.push([]);
      room = BUCKET;
    }
    groups.at(-1)!.push(param);
    room -= tf.util.sizeFromShape(param[1]);
  }
  return groups;
}
