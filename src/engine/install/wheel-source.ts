import type { Requirement } from './requirements.js';

/** One wheel that an installation would fetch. */
export interface WheelFile {
  name: string;
  version: string;
  file: string;
  url: string;
  sha256: string;
  /** Known to the package index alone. */
  bytes?: number | undefined;
  requires: string[];
}

/** Where wheels come from. */
export interface Packages {
  /** For messages: `pip` or `the package index`. */
  readonly name: string;
  /** Which wheels would be fetched; fetches descriptions only. */
  resolve(requirements: Requirement[], signal?: AbortSignal): Promise<WheelFile[]>;
  /** Fetches wheels into `folder`, checked by digest; returns their paths. */
  download(requirements: Requirement[], folder: string, signal?: AbortSignal): Promise<string[]>;
}
