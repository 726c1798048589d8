import { UserError } from '../../base/index.js';
import {
  asFloat32,
  elementCount,
  openPt,
  TensorValue,
  type ArrayInfo,
  type NdArray,
  type PtFile,
} from '../../io/index.js';
import type { NamedArrays } from './named.js';

/** Tensors that are one array: a list of images' latents, or of batches. */
interface Member {
  tensors: TensorValue[];
  info: ArrayInfo;
  /** Rows before each tensor. */
  starts: number[];
}

const LABELS = ['labels', 'label'];

/**
 * What `torch.save` wrote: a tensor, a pair (latents, labels), a list of tensors, or a dict of these, dicts within it
 * included (`train.latents`). Nothing of the file's is run, and tensors are read a few rows at a time.
 */
export async function namedPt(path: string): Promise<NamedArrays> {
  const pt = await openPt(path);
  try {
    const found = new Map<string, unknown>();
    collect(pt.value, '', found);
    const plain = new Map([...found].filter((entry): entry is [string, unknown[]] => isPlain(entry[1])));
    const members = new Map<string, Member>();
    for (const [name, value] of found) {
      const tensors = value instanceof TensorValue ? [value] : value;
      if (!isTensors(tensors)) continue;
      members.set(
        name,
        value instanceof TensorValue ? whole(value) : memberOf(`${path}#${name}`, tensors, labelCount(name, found)),
      );
    }
    return {
      path,
      names: [...members.keys(), ...plain.keys()],
      info: name => Promise.resolve(members.get(name)!.info),
      numbers: () => Promise.resolve(new Map([...members].map(([name, { info }]) => [name, info]))),
      values: async name => {
        const member = members.get(name);
        if (member) return await readRows(pt, name, member, 0, member.info.shape[0] ?? 1);
        const items = plain.get(name)!;
        return items.every(item => typeof item === 'string')
          ? { shape: [items.length], text: items }
          : { shape: [items.length], dtype: 'float64', data: Float64Array.from(items, Number) };
      },
      rows: name => {
        const member = members.get(name)!;
        return Promise.resolve({
          shape: member.info.shape,
          readRows: (start, end) => readRows(pt, name, member, start, end),
        });
      },
      close: () => pt.close(),
    };
  } catch (error) {
    await pt.close();
    throw error;
  }
}

const isTensors = (value: unknown): value is TensorValue[] =>
  Array.isArray(value) && value.length > 0 && value.every(item => item instanceof TensorValue);

/** A list of labels as Python has them. */
const isPlain = (value: unknown): boolean =>
  Array.isArray(value) && value.length > 0 && value.every(item => typeof item === 'string' || Number.isInteger(item));

/** Names of what is in a file, as a path of its dicts' keys. */
function collect(value: unknown, name: string, found: Map<string, unknown>): void {
  if (value instanceof Map) {
    for (const [key, item] of value) collect(item, name === '' ? String(key) : `${name}.${String(key)}`, found);
    return;
  }
  if (name === '' && isPair(value)) {
    found.set('latents', value[0]).set('labels', value[1]);
    return;
  }
  found.set(name === '' ? 'latents' : name, value);
}

/** (latents, labels), as a TensorDataset's tensors are. */
function isPair(value: unknown): value is [TensorValue, TensorValue] {
  if (!isTensors(value) || value.length !== 2) return false;
  const [latents, labels] = value;
  return labels.shape.length === 1 && latents.shape.length > 1 && latents.shape[0] === labels.shape[0];
}

/** How many labels stand beside an array. */
function labelCount(name: string, found: Map<string, unknown>): number | undefined {
  const prefix = name.slice(0, name.lastIndexOf('.') + 1);
  const labels = LABELS.map(label => found.get(prefix + label)).find(value => value !== undefined);
  if (labels instanceof TensorValue) return labels.shape[0];
  return Array.isArray(labels) && !isTensors(labels) ? labels.length : undefined;
}

const whole = (tensor: TensorValue): Member => ({
  tensors: [tensor],
  info: { shape: tensor.shape, dtype: tensor.dtype },
  starts: [0],
});

/**
 * A list of tensors is one image's latents each, or batches: batches where they have four axes, or first axes that
 * differ, or where only so there are as many rows as `labels`.
 */
function memberOf(where: string, tensors: TensorValue[], labels: number | undefined): Member {
  const [{ shape: first, dtype }] = tensors;
  const rows = tensors.reduce((sum, { shape }) => sum + (shape[0] ?? 1), 0);
  const areAlike = tensors.every(({ shape }) => shape.join() === first.join());
  const areBatches = first.length >= 4 || !areAlike || (labels === rows && labels !== tensors.length);
  const row = areBatches ? first.slice(1) : first;
  const other = tensors.find(({ shape }) => (areBatches ? shape.slice(1) : shape).join() !== row.join());
  if (other)
    throw new UserError(
      `${where}: a list of tensors [${first.join(', ')}] and [${other.shape.join(', ')}]; latents are all of one shape`,
    );
  const starts: number[] = [];
  let count = 0;
  for (const { shape } of tensors) {
    starts.push(count);
    count += areBatches ? shape[0] : 1;
  }
  return { tensors, info: { shape: [count, ...row], dtype }, starts };
}

async function readRows(
  pt: PtFile,
  name: string,
  { tensors, info, starts }: Member,
  start: number,
  end: number,
): Promise<NdArray> {
  const [count = 1, ...row] = info.shape;
  if (tensors.length === 1 && tensors[0].shape.length === info.shape.length)
    return await pt.read(rowsOf(tensors[0], start, end), name);
  const width = elementCount(row);
  const data = new Float32Array((end - start) * width);
  for (const [i, tensor] of tensors.entries()) {
    const stop = i + 1 < starts.length ? starts[i + 1] : count;
    const [from, to] = [Math.max(start, starts[i]), Math.min(end, stop)];
    if (from >= to) continue;
    const part = tensor.shape.length === row.length ? tensor : rowsOf(tensor, from - starts[i], to - starts[i]);
    data.set(asFloat32((await pt.read(part, name)).data), (from - start) * width);
  }
  return { shape: [end - start, ...row], dtype: 'float32', data };
}

/** Rows of a tensor as a view of the same storage. */
function rowsOf({ storage, dtype, offset, shape, strides, negative }: TensorValue, start: number, end: number) {
  if (shape.length === 0) return { storage, dtype, offset, shape, strides, negative };
  return {
    storage,
    dtype,
    offset: offset + start * strides[0],
    shape: [end - start, ...shape.slice(1)],
    strides,
    negative,
  };
}
