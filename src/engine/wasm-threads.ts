import { Worker } from 'node:worker_threads';
import { availableCores } from '../base/index.js';
import { parametersOf, productModule, scratchBytes, type Product } from './wasm-product.js';

/*
 * Matrix products on several threads. The memory of TensorFlow.js's WebAssembly backend belongs to one thread, so the others
 * have one of their own: their part of a product is copied there and back, which is little beside the product itself.
 * Every number of the result is the same sum whoever computes it.
 */

/** Multiply-adds that are worth waking a thread: it takes some ten microseconds, these half a millisecond. */
const FEWEST = 2 ** 23;
/** Pages of the other threads' memory, 256 MB; only what is used is taken. Larger products are left to this thread. */
const PAGES = 2 ** 12;
const PAGE_BYTES = 2 ** 16;

/** A thread's words: its state, then the parameters of its part. */
const [STARTING, IDLE, WORKING] = [0, 1, 2];
const WORDS = 16;

const THREAD = `
const { module, memory, words } = require('node:worker_threads').workerData;
const { exports } = new WebAssembly.Instance(module, { env: { memory, log: Math.log } });
for (;;) {
  Atomics.store(words, 0, ${IDLE});
  Atomics.notify(words, 0);
  Atomics.wait(words, 0, ${IDLE});
  exports.multiply(...words.subarray(1));
}`;

interface Helpers {
  memory: WebAssembly.Memory;
  words: Int32Array[];
}

/** Products of which other threads take a part where they are large enough; `multiply` works in `memory`, on this thread. */
export function openThreads(memory: WebAssembly.Memory, multiply: (product: Product) => void): typeof multiply {
  const cores = availableCores();
  let helpers: Helpers | undefined;
  return product => {
    const { m, n, k, batch } = product;
    const shares = Math.min(cores, Math.floor((m * n * k * batch) / FEWEST));
    if (shares < 2) {
      multiply(product);
      return;
    }
    helpers ??= startHelpers(cores - 1);
    const free = helpers.words.filter(words => Atomics.load(words, 0) === IDLE).slice(0, shares - 1);
    const [own, ...others] = divided(product, free.length + 1);
    const returned = hand(others, { memory, helpers, threads: free });
    multiply(returned ? own : product);
    returned?.();
  };
}

function startHelpers(count: number): Helpers {
  const memory = new WebAssembly.Memory({ initial: PAGES, maximum: PAGES, shared: true });
  const module = new WebAssembly.Module(productModule(PAGES));
  const words = Array.from({ length: count }, () => new Int32Array(new SharedArrayBuffer(4 * WORDS)).fill(STARTING));
  for (const own of words)
    new Worker(THREAD, { eval: true, execArgv: [], workerData: { module, memory, words: own } }).unref();
  return { memory, words };
}

/** Parts of the batch, or of the rows of a single product. */
function divided(product: Product, parts: number): Product[] {
  const { a, b, c, m, n, batch, aRow, aBatch, bBatch } = product;
  const byBatch = batch > 1;
  const bounds = Array.from({ length: parts + 1 }, (_, i) => Math.round(((byBatch ? batch : m) * i) / parts));
  return bounds
    .slice(1)
    .map((end, i) => {
      const [start, count] = [bounds[i], end - bounds[i]];
      return byBatch
        ? { ...product, batch: count, a: a + start * aBatch, b: b + start * bBatch, c: c + 4 * start * m * n }
        : { ...product, m: count, a: a + start * aRow, c: c + 4 * start * n };
    })
    .filter(({ m: rows, batch: matrices }) => rows * matrices > 0);
}

interface Place {
  memory: WebAssembly.Memory;
  helpers: Helpers;
  threads: Int32Array[];
}

/** Has each thread begin with a part; the function waits for them and puts what they made in its place. Undefined if they can't. */
function hand(parts: Product[], { memory, helpers, threads }: Place): (() => void) | undefined {
  const [own, shared] = [memory, helpers.memory].map(({ buffer }) => new Uint8Array(buffer));
  let used = 0;
  const room = (bytes: number): number => {
    const address = used;
    used += Math.ceil(bytes / 16) * 16;
    return address;
  };
  // Parts may share an operand.
  const copies = new Map<string, { from: number; bytes: number; to: number }>();
  const copyOf = (from: number, bytes: number): number => {
    const key = `${from} ${bytes}`;
    const copy = copies.get(key) ?? { from, bytes, to: room(bytes) };
    copies.set(key, copy);
    return copy.to;
  };
  const there = parts.map(part => {
    const { m, n, k, batch, aBatch, aRow, aDepth, bBatch, bColumn, bDepth } = part;
    return {
      ...part,
      a: copyOf(part.a, (batch - 1) * aBatch + (m - 1) * aRow + (k - 1) * aDepth + 4),
      b: copyOf(part.b, (batch - 1) * bBatch + (n - 1) * bColumn + (k - 1) * bDepth + 4),
      c: room(4 * batch * m * n),
      scratch: room(scratchBytes(part)),
    };
  });
  if (parts.length === 0 || used > PAGES * PAGE_BYTES) return undefined;
  for (const { from, bytes, to } of copies.values()) shared.set(own.subarray(from, from + bytes), to);
  there.forEach((part, i) => {
    threads[i].set(parametersOf(part), 1);
    Atomics.store(threads[i], 0, WORKING);
    Atomics.notify(threads[i], 0);
  });
  return () =>
    there.forEach(({ c, batch, m, n }, i) => {
      while (Atomics.load(threads[i], 0) === WORKING) Atomics.wait(threads[i], 0, WORKING);
      own.set(shared.subarray(c, c + 4 * batch * m * n), parts[i].c);
    });
}
