import { existsSync } from 'node:fs';
import { isAbsolute, join, relative } from 'node:path';
import { stringify } from 'yaml';
import { UserError } from '../base/index.js';
import { writeFileAtomic } from '../io/index.js';
import { readStudy, type Study } from './study.js';

/** The study in its own folder, from which its report can be made again. */
const STUDY_FILE = 'study.yaml';

/** Writes a study, whose paths are relative to the working directory, into its folder, with paths relative to that. */
export async function saveStudy(study: Study, out: string, comment: string): Promise<void> {
  const at = (path: string | undefined): string | undefined =>
    path === undefined || isAbsolute(path) || /^\w[\w-]*:/.test(path) ? path : relative(out, path);
  const tokenizers = Object.entries(study.tokenizers).map(([name, { latents, test, tokenizer, from, ...flags }]) => {
    const start = from !== undefined && Object.hasOwn(study.tokenizers, from) ? from : at(from);
    const paths = { latents: at(latents), test: at(test), tokenizer: at(tokenizer), from: start };
    return [name, { ...flags, ...paths }];
  });
  const content = {
    ...study,
    data: at(study.data),
    test: at(study.test),
    tokenizers: Object.fromEntries(tokenizers) as object,
  };
  const lines = comment.split('\n').map(line => `# ${line}`.trimEnd());
  await writeFileAtomic(join(out, STUDY_FILE), `${lines.join('\n')}\n${stringify(content)}`, { force: true });
}

export const hasStudy = (out: string): boolean => existsSync(join(out, STUDY_FILE));

/** The study that was run into a folder. @throws UserError where the folder holds none. */
export async function savedStudy(out: string): Promise<Study> {
  if (!hasStudy(out))
    throw new UserError(`${out}: holds no study (${STUDY_FILE} is missing); \`maetok compare\` makes one with --out`);
  return await readStudy(join(out, STUDY_FILE));
}
