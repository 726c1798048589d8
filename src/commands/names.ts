import { RUN } from '../io/names.js';
import { LATENTS_JSON } from '../latents/names.js';

/** Kinds of folders that commands read, and the files by which one is known. */
export const FOLDER_MARKS = {
  run: [RUN.config, RUN.info],
  latents: [LATENTS_JSON],
} as const;
export type FolderKind = keyof typeof FOLDER_MARKS;

/** Whether a folder that holds these names is of a kind. */
export const isKind = (kind: FolderKind, names: ReadonlySet<string>): boolean =>
  FOLDER_MARKS[kind].every(mark => names.has(mark));

/** What inputs and options of these names usually are; shells complete them with such folders. */
export const USUAL_FOLDERS: Record<string, FolderKind> = {
  run: 'run',
  tokenizer: 'run',
  bad: 'run',
  from: 'run',
  latents: 'latents',
  test: 'latents',
  repa: 'latents',
  latentStatistics: 'latents',
};
