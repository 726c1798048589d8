import { UserError } from '../base/index.js';
import { asFloat32, elementCount, type NdArray } from '../io/index.js';
import { storedRow, toTokens, widthOf, type StoredRow } from './layout.js';
import type { LatentsStore, StoreReader } from './store.js';

/** Rows of one array in one file. */
export interface RowArray {
  shape: number[];
  readRows(start: number, end: number): Promise<NdArray>;
}

/** A file of many images' latents, open. */
export interface OpenPiece {
  latents: RowArray;
  flipped?: RowArray;
  close(): Promise<void>;
}

/** One file of several that follow each other. */
export interface Piece {
  /** Name in messages. */
  name: string;
  rows: number;
  /** Shape of one row. */
  shape: number[];
  flips: boolean;
  open(): Promise<OpenPiece>;
}

/** Latents whose rows lie one after the other in one or more files. */
export function pieceStore(
  pieces: Piece[],
  about: Omit<LatentsStore, 'count' | 'layout' | 'flips' | 'open'>,
): LatentsStore {
  const [first] = pieces;
  const row = storedRow(first.name, first.shape);
  for (const { name, shape, rows, flips } of pieces) {
    if (shape.join() !== first.shape.join())
      throw new UserError(`${name}: rows of [${shape.join(', ')}], but ${first.name} has [${first.shape.join(', ')}]`);
    if (flips !== first.flips && rows > 0)
      throw new UserError(`${name}: ${flips ? 'has' : 'lacks'} flipped latents, unlike ${first.name}`);
  }
  return {
    ...about,
    count: pieces.reduce((sum, piece) => sum + piece.rows, 0),
    layout: row.layout,
    flips: first.flips,
    open: () => Promise.resolve(readerOf(pieces, row)),
  };
}

/** Files are opened when first read from and stay open: random access for training goes back and forth. */
function readerOf(pieces: Piece[], { layout, channelsFirst }: StoredRow): StoreReader {
  const opened = new Map<Piece, Promise<OpenPiece>>();
  const width = widthOf(layout);
  const open = (piece: Piece): Promise<OpenPiece> => {
    const known = opened.get(piece) ?? piece.open();
    opened.set(piece, known);
    return known;
  };
  return {
    async readRows(start, end, flipped) {
      const out = new Float32Array((end - start) * width);
      let before = 0;
      for (const piece of pieces) {
        const from = Math.max(start, before);
        const to = Math.min(end, before + piece.rows);
        if (from < to) {
          const { latents, flipped: mirrored } = await open(piece);
          const { data } = await (flipped ? mirrored! : latents).readRows(from - before, to - before);
          out.set(asFloat32(data), (from - start) * width);
        }
        before += piece.rows;
      }
      if (channelsFirst) toTokens(out, layout);
      return out;
    },
    async close() {
      for (const piece of opened.values()) await (await piece).close();
    },
  };
}

/** A piece of arrays that an open file gives; refuses a flipped array of another shape. */
export function pieceOf(name: string, latents: number[], flipped: number[] | undefined, open: Piece['open']): Piece {
  if (latents.length === 0 || elementCount(latents.slice(1)) === 0)
    throw new UserError(
      `${name}: has shape [${latents.join(', ')}]; latents are [N, C, H, W], [N, tokens, C] or [N, D]`,
    );
  if (flipped && flipped.join() !== latents.join())
    throw new UserError(`${name}: flipped latents are [${flipped.join(', ')}] and plain ones [${latents.join(', ')}]`);
  return { name, rows: latents[0], shape: latents.slice(1), flips: flipped !== undefined, open };
}
