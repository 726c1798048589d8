import type { Precision } from './names.js';

/** What the command line chose; read when the engine starts. */
export interface EngineSettings {
  engine?: string | undefined;
  precision?: Precision | undefined;
  verbose?: boolean;
  /** Receives the engine's one warning: that only a slow engine is available. */
  warn?: (message: string) => void;
}

let settings: EngineSettings = {};

/** Replaces the settings as a whole; without effect on an engine that has started, but for `precision`. */
export function configureEngine(chosen: EngineSettings): void {
  settings = { ...chosen };
}

/** What `configureEngine` was given last; empty before that. */
export function engineSettings(): Readonly<EngineSettings> {
  return settings;
}
