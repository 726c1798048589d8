import type { ChartChoice } from '../choice.js';
import type { Table } from '../table.js';
import type { Cell } from './cell.js';

/** What a report says: plain data, which `htmlReport` turns into one self-contained page. */
export interface ReportPage {
  title: string;
  /** What was measured, when, by which version: one line under the title. */
  subtitle: string;
  /** What the study asks, in one sentence. */
  question: string;
  /** The answer with its uncertainty: two sentences, a string each. */
  answer: string[];
  /** The one chart that carries the answer. */
  lead?: PageChart | undefined;
  /** What would change the answer (more seeds, more rows, another measure): one line each. */
  wouldChange: string[];
  /** Latent spaces in the study's order, which fixes their colours in every chart. */
  sources: string[];
  sections: PageSection[];
  /** Seconds after which an open page loads itself again: while its study runs. */
  reload?: number | undefined;
}

/** One part of a report: a heading, and below it whichever of the other fields are given, in this order. */
export interface PageSection {
  heading: string;
  /** Plain-text paragraphs. */
  text?: string[] | undefined;
  tables?: PageTable[] | undefined;
  charts?: PageChart[] | undefined;
  pictures?: Pictures[] | undefined;
}

/** Where numbers are from: shown behind a click. */
export interface Provenance {
  /** Command lines that make the table, as one would type them. */
  commands?: string[] | undefined;
  /** Protocol cards of the files that the numbers are from. */
  cards?: { file: string; fields: Record<string, unknown> }[] | undefined;
}

export interface PageTable extends Provenance {
  /** Name of the file when it is copied or saved; unique on the page. */
  name: string;
  caption: string;
  columns: PageColumn[];
  rows: Record<string, Cell>[];
  /** Which numbers are of a kind, and are written with the same number of decimals; default: those of a column. */
  rounded?: 'by column' | 'by row' | undefined;
  /** What holds for the whole table, a line each below it. */
  notes?: string[] | undefined;
}

export interface PageColumn {
  /** Key of the cells in `rows`. */
  key: string;
  title: string;
  /** Whose axes and rows the column's numbers are about, and the unit: small under the title. */
  note?: string | undefined;
  /** Which numbers are better, shown by an arrow; absent where neither is. */
  better?: 'lower' | 'higher' | undefined;
}

export interface PageChart extends Provenance {
  /** Name of the file when it is saved; unique on the page. */
  name: string;
  caption: string;
  /** What is drawn: the rows behind the points. */
  table: Table;
  choice: ChartChoice;
  /** Thumbnails on hover: those of the rows whose `column` has the record's key. */
  thumbnails?: { column: string; images: Record<string, Uint8Array> } | undefined;
}

export type Pictures = Reconstructions | Samples | Grid;

/** The same images as they were and as each latent space's decoder gives them back. Encoded images (PNG, WebP, JPEG). */
export interface Reconstructions {
  kind: 'reconstructions';
  caption: string;
  originals: Uint8Array[];
  /** Latent space → image k is original k's reconstruction. */
  sources: { name: string; images: Uint8Array[] }[];
}

/** Samples of each latent space, by class and, where a sweep was run, by guidance. */
export interface Samples {
  kind: 'samples';
  caption: string;
  sources: { name: string; images: Sample[] }[];
}

export interface Sample {
  image: Uint8Array;
  /** Name or number of the class; absent for unconditional samples. */
  class?: string | undefined;
  /** Guidance scale; the page has a slider where there are several. */
  guidance?: number | undefined;
}

/** A picture as it is. */
export interface Grid {
  kind: 'grid';
  caption: string;
  image: Uint8Array;
}
