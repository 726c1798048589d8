import { FlatTable } from './flatbuffer.js';
import type { Column, ColumnKind } from './table.js';

/** How the values of a column lie in a batch. */
export type ArrowLayout =
  | { form: 'number'; array: 'int' | 'uint' | 'float'; bits: number }
  /** Bytes or text between offsets of so many bytes. */
  | { form: 'binary'; isText: boolean; offsetBytes: 4 | 8 }
  | { form: 'list'; offsetBytes: 4 | 8 }
  | { form: 'fixed-list'; size: number }
  | { form: 'struct' }
  /** What images and labels are never made of, with the number of its buffers. */
  | { form: 'other'; buffers: number };

export interface ArrowField {
  name: string;
  layout: ArrowLayout;
  children: ArrowField[];
}

export interface ArrowSchema {
  fields: ArrowField[];
  metadata: Map<string, string>;
}

/** Arrow's numbers of the types, by its `Schema.fbs`. */
const TYPE = {
  null: 1,
  int: 2,
  float: 3,
  binary: 4,
  utf8: 5,
  list: 12,
  struct: 13,
  fixedList: 16,
  largeBinary: 19,
  largeUtf8: 20,
  largeList: 21,
} as const;
/** Types of one buffer of values (booleans, dates, decimals, …) beside that of what is valid. */
const ONE_BUFFER = new Set([6, 7, 8, 9, 10, 11, 15, 18]);
const MAP = 17;

/** A schema message's table. @throws Error for a type whose buffers are not known here. */
export function readSchema(schema: FlatTable): ArrowSchema {
  if (schema.int16(0) !== 0) throw new Error('its numbers are big-endian');
  return {
    fields: schema.tables(1).map(readField),
    metadata: new Map(schema.tables(2).map(pair => [pair.text(0), pair.text(1)])),
  };
}

function readField(field: FlatTable): ArrowField {
  const name = field.text(0);
  const isDictionary = field.table(4) !== undefined;
  const layout = isDictionary
    ? ({ form: 'other', buffers: 2 } as const)
    : layoutOf(name, field.byte(2), field.table(3));
  return { name, layout, children: isDictionary ? [] : field.tables(5).map(readField) };
}

function layoutOf(name: string, type: number, details: FlatTable | undefined): ArrowLayout {
  switch (type) {
    case TYPE.null:
      return { form: 'other', buffers: 0 };
    case TYPE.int:
      return { form: 'number', array: details?.byte(1) ? 'int' : 'uint', bits: details?.int32(0) ?? 0 };
    case TYPE.float:
      return { form: 'number', array: 'float', bits: [16, 32, 64][details?.int16(0) ?? 0] };
    case TYPE.binary:
    case TYPE.utf8:
      return { form: 'binary', isText: type === TYPE.utf8, offsetBytes: 4 };
    case TYPE.largeBinary:
    case TYPE.largeUtf8:
      return { form: 'binary', isText: type === TYPE.largeUtf8, offsetBytes: 8 };
    case TYPE.list:
    case MAP:
      return { form: 'list', offsetBytes: 4 };
    case TYPE.largeList:
      return { form: 'list', offsetBytes: 8 };
    case TYPE.struct:
      return { form: 'struct' };
    case TYPE.fixedList:
      return { form: 'fixed-list', size: details?.int32(0) ?? 0 };
    default:
      if (ONE_BUFFER.has(type)) return { form: 'other', buffers: 2 };
      throw new Error(`column ${name} is of Arrow’s type ${type}, which is not read here`);
  }
}

export const columnOf = (field: ArrowField): Column => ({ name: field.name, kind: kindOf(field) });

function kindOf({ layout, children }: ArrowField): ColumnKind {
  if (layout.form === 'number') return layout.array === 'float' ? 'float' : 'integer';
  if (layout.form === 'binary') return layout.isText ? 'text' : 'bytes';
  if (layout.form === 'list' || layout.form === 'fixed-list') return 'list';
  const isFile =
    layout.form === 'struct' && children.some(child => child.name === 'bytes' && kindOf(child) === 'bytes');
  return isFile ? 'file' : 'other';
}
