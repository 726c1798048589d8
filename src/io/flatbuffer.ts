/*
 * Reading of FlatBuffers, in which Arrow describes its messages: tables whose fields stand at places that a small table
 * of offsets gives. https://flatbuffers.dev/internals
 */

/** A table within a buffer. Every read beyond the buffer throws a RangeError, as a DataView does. */
export class FlatTable {
  constructor(
    private readonly view: DataView,
    private readonly at: number,
  ) {}

  /** The table that a buffer is the message of. */
  static root(bytes: Uint8Array): FlatTable {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    return new FlatTable(view, view.getUint32(0, true));
  }

  /** Where the field of this number stands; undefined where it has its default. */
  private place(field: number): number | undefined {
    const vtable = this.at - this.view.getInt32(this.at, true);
    const entry = 4 + 2 * field;
    if (entry + 2 > this.view.getUint16(vtable, true)) return undefined;
    const offset = this.view.getUint16(vtable + entry, true);
    return offset === 0 ? undefined : this.at + offset;
  }

  /** Follows the reference that stands at a place. */
  private target = (place: number): number => place + this.view.getUint32(place, true);

  private number(field: number, read: (place: number) => number | bigint, otherwise = 0): number {
    const place = this.place(field);
    return place === undefined ? otherwise : Number(read(place));
  }

  byte = (field: number): number => this.number(field, place => this.view.getUint8(place));
  int16 = (field: number): number => this.number(field, place => this.view.getInt16(place, true));
  int32 = (field: number): number => this.number(field, place => this.view.getInt32(place, true));
  int64 = (field: number): number => this.number(field, place => this.view.getBigInt64(place, true));

  table(field: number): FlatTable | undefined {
    const place = this.place(field);
    return place === undefined ? undefined : new FlatTable(this.view, this.target(place));
  }

  text(field: number): string {
    const place = this.place(field);
    if (place === undefined) return '';
    const start = this.target(place);
    return Buffer.from(this.view.buffer, this.view.byteOffset + start + 4, this.view.getUint32(start, true)).toString();
  }

  tables(field: number): FlatTable[] {
    const { start, length } = this.vector(field);
    return Array.from({ length }, (_, i) => new FlatTable(this.view, this.target(start + 4 * i)));
  }

  /** A vector of structs of two 64-bit integers. */
  pairs(field: number): [number, number][] {
    const { start, length } = this.vector(field);
    const read = (place: number): number => Number(this.view.getBigInt64(place, true));
    return Array.from({ length }, (_, i) => [read(start + 16 * i), read(start + 16 * i + 8)]);
  }

  private vector(field: number): { start: number; length: number } {
    const place = this.place(field);
    if (place === undefined) return { start: 0, length: 0 };
    const start = this.target(place);
    const length = this.view.getUint32(start, true);
    // A length that a crafted file makes up must not become a list of that length.
    if (length > this.view.byteLength) throw new RangeError(`a vector of ${length} in ${this.view.byteLength} bytes`);
    return { start: start + 4, length };
  }
}
