import { UserError } from '../../base/index.js';
import {
  classesFrom,
  hfFeatures,
  HF_KEY,
  listed,
  sha256OfText,
  type Classes,
  type ColumnKind,
  type FileCell,
  type HfFeature,
  type TableFile,
} from '../../io/index.js';
import type { ImageSource, StoredImage } from '../dataset.js';
import { named } from './arrays.js';
import { sampledDigest } from './digest.js';
import { keysDigest, type ImageKeys } from './keys.js';

/** Names under which tables keep images and labels, the usual ones first. */
const IMAGES = ['image', 'img', 'jpg', 'jpeg', 'png', 'webp', 'picture', 'images', 'pixel_values'];
const LABELS = ['label', 'labels', 'fine_label', 'class', 'cls', 'target', 'category'];

/** What a table's columns are for. */
interface Columns {
  image: string;
  label: string | undefined;
  /** Names by label, where the file has them. */
  names: string[] | undefined;
}

/**
 * Images in the rows of one or more tables, as the hub and the cache of Hugging Face's `datasets` have them: encoded
 * images as `{bytes, path}` or plain bytes, labels as whole numbers (with the names of their classes in the files'
 * metadata) or text. `description` is that of a data set which stands in a file of its own. Rows keep their order, files
 * the order in which they are given. The digest covers the files' names and samples of their content.
 */
export async function openTables(
  name: string,
  paths: string[],
  open: (path: string) => Promise<TableFile>,
  keys: ImageKeys,
  description?: string,
): Promise<ImageSource> {
  const tables: TableFile[] = [];
  const close = async (): Promise<void> => {
    await Promise.all(tables.map(table => table.close()));
  };
  try {
    for (const path of paths) tables.push(await open(path));
    const columns = columnsOf(tables, keys, description);
    const count = tables.reduce((sum, { rows }) => sum + rows, 0);
    if (count === 0) throw new UserError(`${paths[0]}: holds no rows`);
    const digests: string[] = [];
    for (const path of paths) digests.push(await sampledDigest(path));
    const place = placesIn(tables);
    return {
      name,
      count,
      ...named(columns.label === undefined ? undefined : await labelsOf(tables, columns.label, columns.names)),
      digest: sha256OfText(`${digests.join('\n')}${keysDigest(keys)}`),
      imageName: index => imageName(place(index)),
      stored: async index => {
        const { table, row } = place(index);
        const [cell] = await table.read(columns.image, row, row + 1);
        return storedImage(imageName({ table, row }), cell as FileCell | Uint8Array | null);
      },
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

interface Place {
  table: TableFile;
  row: number;
}

const imageName = ({ table, row }: Place): string => `${table.name}: row ${row}`;

/** Where in which table a row of all of them is. */
function placesIn(tables: TableFile[]): (index: number) => Place {
  const ends: number[] = [];
  for (const { rows } of tables) ends.push((ends.at(-1) ?? 0) + rows);
  return index => {
    const at = ends.findIndex(end => index < end);
    return { table: tables[at], row: index - (at === 0 ? 0 : ends[at - 1]) };
  };
}

function storedImage(name: string, cell: FileCell | Uint8Array | null): StoredImage {
  const bytes = cell instanceof Uint8Array || cell === null ? cell : cell.bytes;
  // A copy: the bytes of many rows lie in one buffer, which would go along to the thread that decodes one of them.
  if (bytes) return { name, bytes: bytes.slice() };
  const path = cell === null || cell instanceof Uint8Array ? undefined : cell.path;
  throw new UserError(
    path
      ? `${name}: cannot be read as an image: the table holds only its path, ${path}; read that folder instead`
      : `${name}: cannot be read as an image: the cell is empty`,
  );
}

function columnsOf(tables: TableFile[], keys: ImageKeys, description: string | undefined): Columns {
  const [first, ...others] = tables;
  const features = hfFeatures(first.metadata.get(HF_KEY) ?? description);
  const image = imageColumn(first, features, keys.images);
  const label = labelColumn(first, features, keys.labels);
  for (const other of others)
    for (const column of [image, label])
      if (column !== undefined && kindIn(other, column) !== kindIn(first, column))
        throw new UserError(
          `${other.name}: ${kindIn(other, column) === undefined ? 'has no' : 'has another kind of'} column ${column}, ` +
            `unlike ${first.name}; files of one data set have the same columns`,
        );
  return { image, label, names: label === undefined ? undefined : features.get(label)?.names };
}

const kindIn = ({ columns }: TableFile, name: string): ColumnKind | undefined =>
  columns.find(column => column.name === name)?.kind;

const HOLD_IMAGES: readonly (ColumnKind | undefined)[] = ['file', 'bytes'];
const HOLD_LABELS: readonly (ColumnKind | undefined)[] = ['integer', 'text'];

function imageColumn(table: TableFile, features: Map<string, HfFeature>, key: string | undefined): string {
  const possible = table.columns.filter(({ kind }) => HOLD_IMAGES.includes(kind)).map(({ name }) => name);
  const has = `its columns are ${listed(table.columns.map(({ name, kind }) => `${name} (${kind})`))}`;
  if (key !== undefined) {
    if (possible.includes(key)) return key;
    throw new UserError(`${table.name}: has no column ${key} of encoded images; ${has}`);
  }
  const declared = possible.filter(name => features.get(name)?.type === 'Image');
  for (const names of [declared, possible]) {
    const usual = IMAGES.find(name => names.includes(name));
    if (usual !== undefined) return usual;
    if (names.length === 1) return names[0];
  }
  throw new UserError(
    possible.length === 0
      ? `${table.name}: holds no encoded images (bytes, or structs with bytes); ${has}`
      : `${table.name}: which column holds the images? Say it by --images-key, e.g. ${possible[0]}; ${has}`,
  );
}

function labelColumn(table: TableFile, features: Map<string, HfFeature>, key: string | undefined): string | undefined {
  const possible = table.columns.filter(({ kind }) => HOLD_LABELS.includes(kind)).map(({ name }) => name);
  if (key !== undefined) {
    if (possible.includes(key)) return key;
    throw new UserError(`${table.name}: has no column ${key} of labels; it has ${listed(possible)}`);
  }
  const declared = possible.filter(name => features.get(name)?.type === 'ClassLabel');
  return LABELS.find(name => possible.includes(name)) ?? (declared.length === 1 ? declared[0] : undefined);
}

/** Rows of a column of labels that are read at a time. */
const ROWS = 1 << 16;

async function labelsOf(
  tables: TableFile[],
  column: string,
  names: string[] | undefined,
): Promise<Classes | undefined> {
  const cells: unknown[] = [];
  for (const table of tables)
    for (let start = 0; start < table.rows; start += ROWS)
      for (const cell of await table.read(column, start, Math.min(table.rows, start + ROWS))) cells.push(cell);
  const where = `${tables[0].name}: column ${column}`;
  // The hub's test sets, whose labels are not published, have -1 or nothing everywhere.
  if (cells.every(cell => cell === null || Number(cell) === -1)) return undefined;
  const absent = cells.indexOf(null);
  if (absent >= 0) throw new UserError(`${where}: row ${absent} has no label, though others have one`);
  const shape = [cells.length];
  const found = cells.every(cell => typeof cell === 'string')
    ? classesFrom(where, { shape, text: cells }, cells.length)
    : classesFrom(where, { shape, dtype: 'float64', data: Float64Array.from(cells, Number) }, cells.length);
  if (!names || found.classes) return found;
  const beyond = found.labels.find(label => label >= names.length);
  if (beyond !== undefined)
    throw new UserError(`${where}: label ${beyond} has no name: the file names ${names.length} classes`);
  return { labels: found.labels, classes: names };
}
