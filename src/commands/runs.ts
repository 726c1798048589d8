import { existsSync } from 'node:fs';
import { z } from 'zod';
import { UserError } from '../base/index.js';
import { list } from '../base/options.js';
import { RUN_STATES } from '../jobs/runs/names.js';
import { defineCommand } from './command.js';
import { common, force, outFile } from './options.js';
import { writeTable } from './table.js';

const COLUMNS = ['folder', 'kind', 'model', 'state', 'done', 'total', 'loss', 'age_seconds', 'next'];

export const runs = defineCommand({
  name: 'runs',
  describe: 'Lists the runs, latents, samples and studies below a folder: state, progress, last loss, what comes next.',
  examples: [
    ['maetok runs', 'everything below this folder'],
    ['maetok runs study --state interrupted,failed', 'what has to be continued'],
    ['maetok runs | column -s, -t', 'as a table'],
  ],
  inputs: { name: 'folder', describe: 'where to look; default: here', min: 0, max: 1 },
  options: z.object({
    state: list(z.array(z.enum(RUN_STATES)))
      .optional()
      .describe('only what is in one of these states'),
    out: outFile,
    force,
    ...common,
  }),
  async run({ state, out, force: replace }, [folder = '.'], context) {
    if (!existsSync(folder)) throw new UserError(`${folder}: no such folder`);
    const { listRuns } = await import('../jobs/runs/index.js');
    const { studyProgress } = await import('../compare/index.js');
    const found = await listRuns(folder, studyProgress);
    const rows = found
      .filter(run => state === undefined || state.includes(run.state))
      .map(({ age, ...run }) => ({ ...run, age_seconds: age }));
    if (rows.length === 0) context.log.note(`${folder}: nothing ${state ? `that is ${state.join(' or ')}` : ''} found`);
    await writeTable(context, COLUMNS, rows, { out, force: replace });
  },
});
