import { existsSync } from 'node:fs';
import { isRecord } from '../base/index.js';
import { readJson } from '../io/index.js';
import { commandLine, type StudyStep } from './plan.js';

/** The command lines of these steps, and the protocol cards of the tables that they have made. */
export async function provenanceOf(steps: StudyStep[]) {
  const cards = await Promise.all(
    steps.map(async ({ output: file }) => {
      const path = `${file}.protocol.json`;
      const fields = existsSync(path) ? await readJson(path) : undefined;
      return isRecord(fields) ? [{ file, fields }] : [];
    }),
  );
  return { commands: steps.map(({ argv }) => commandLine(argv)), cards: cards.flat() };
}
