import { UserError } from '../../base/index.js';
import { elementCount, hfFeatures, HF_KEY, type ArrayInfo, type NdArray, type TableFile } from '../../io/index.js';
import type { NamedArrays } from './named.js';

type Nested = ArrayLike<unknown>;

/** The columns of a table: lists of numbers, nested or not, are arrays; numbers and text may be labels. */
export function namedColumns(table: TableFile): NamedArrays {
  const features = hfFeatures(table.metadata.get(HF_KEY));
  const used = table.columns.filter(({ kind }) => ['list', 'integer', 'text'].includes(kind));
  /** The shape of every row, as its first has it. */
  const shapes = new Map<string, number[]>();
  const infoOf = async (name: string): Promise<ArrayInfo> => {
    const isList = used.find(column => column.name === name)?.kind === 'list';
    if (isList && !shapes.has(name)) shapes.set(name, table.rows > 0 ? await firstShape(table, name) : []);
    return { dtype: 'float32', shape: [table.rows, ...(shapes.get(name) ?? [])] };
  };
  return {
    path: table.name,
    names: used.map(({ name }) => name),
    info: infoOf,
    async numbers() {
      const lists = used.filter(({ kind }) => kind === 'list');
      const infos: [string, ArrayInfo][] = [];
      for (const { name } of lists) infos.push([name, await infoOf(name)]);
      return new Map(infos);
    },
    async values(name) {
      const cells = await table.read(name, 0, table.rows);
      const absent = cells.indexOf(null);
      if (absent >= 0) throw new UserError(`${table.name}#${name}: row ${absent} is empty; every row needs a label`);
      return cells.every(cell => typeof cell === 'string')
        ? { shape: [cells.length], text: cells }
        : { shape: [cells.length], dtype: 'float64', data: Float64Array.from(cells, Number) };
    },
    async rows(name) {
      const { shape } = await infoOf(name);
      return { shape, readRows: (start, end) => readRows(table, name, shape.slice(1), start, end) };
    },
    classNames: name => features.get(name)?.names,
    close: () => table.close(),
  };
}

async function firstShape(table: TableFile, name: string): Promise<number[]> {
  const [cell] = await table.read(name, 0, 1);
  const shape: number[] = [];
  for (let inner = cell; isNested(inner); inner = inner[0]) shape.push(inner.length);
  return shape;
}

const isNested = (value: unknown): value is Nested => Array.isArray(value) || ArrayBuffer.isView(value);

async function readRows(table: TableFile, name: string, shape: number[], start: number, end: number): Promise<NdArray> {
  const width = elementCount(shape);
  const data = new Float32Array((end - start) * width);
  const cells = await table.read(name, start, end);
  cells.forEach((cell, row) => {
    if (!fill(data.subarray(row * width, (row + 1) * width), cell, shape))
      throw new UserError(
        `${table.name}#${name}: row ${start + row} is not [${shape.join(', ')}] numbers, as the first row is; leave it out`,
      );
  });
  return { shape: [end - start, ...shape], dtype: 'float32', data };
}

/** Copies nested lists of this shape; false where they have another, or gaps. */
function fill(to: Float32Array, value: unknown, [side, ...inner]: number[]): boolean {
  if (!isNested(value) || value.length !== side) return false;
  const width = to.length / side;
  for (let i = 0; i < side; i++) {
    const item = value[i];
    if (inner.length > 0) {
      if (!fill(to.subarray(i * width, (i + 1) * width), item, inner)) return false;
    } else if (typeof item === 'number' || typeof item === 'bigint') to[i] = Number(item);
    else return false;
  }
  return true;
}
