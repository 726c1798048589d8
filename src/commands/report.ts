import { join } from 'node:path';
import { z } from 'zod';
import { UserError } from '../base/index.js';
import { defineCommand } from './command.js';
import { common, force } from './options.js';
import { showPage } from './show-page.js';

const options = z.object({
  out: z.string().optional().describe('page to write; default: report.html in the folder; required for several'),
  open: z.boolean().default(false).describe('open the page in the browser'),
  force: force.describe('replace the page that --out names'),
  ...common,
});

export const report = defineCommand({
  name: 'report',
  describe: 'Makes the page of a study again from its tables, or one page for several studies side by side.',
  examples: [
    ['maetok report demo-out --open', 'the page again, with summary and charts, as after an update of maetok'],
    ['maetok report cifar imagenet --out both.html', 'one page for two studies'],
  ],
  inputs: { name: 'folder', describe: 'folders that `maetok compare` or `maetok demo` made', max: 16 },
  options,
  async run(chosen, folders, context) {
    const { planStudy, readTables, savedStudy, writeJointReport, writeReport } = await import('../compare/index.js');
    const studies = await Promise.all(
      folders.map(async folder => {
        const study = await savedStudy(folder);
        const plan = planStudy(study, folder);
        return { study, plan, tables: await readTables(study, plan, folder) };
      }),
    );
    const [{ study, plan, tables }] = studies;
    let page = chosen.out;
    if (page !== undefined) await writeJointReport(studies, page, chosen.force);
    else {
      if (folders.length > 1) throw new UserError('one page for several studies: name it by --out PAGE.html');
      page = join(folders[0], 'report.html');
      await writeReport(study, plan, tables, folders[0]);
    }
    context.log.note(`wrote ${page}`);
    if (chosen.open) await showPage(page, context.log);
  },
});
