import { z } from 'zod';
import { EXIT, UserError } from '../base/index.js';
import { defineCommand } from './command.js';
import { positive, words } from '../base/options.js';
import { common, force, outFile } from './options.js';
import { writeTable, type Row } from './table.js';

/** Largest difference relative to the tensor's scale: float32 rounding of a deep network, by engine. */
const TOLERANCE = { native: 1e-4, other: 5e-4 };

const options = z.object({
  tolerance: positive
    .optional()
    .describe(
      'largest allowed difference relative to the tensor’s largest value; default 1e-4, 5e-4 without TensorFlow; dopri5’s paths may differ by ten times that',
    ),
  weights: words.default([]).describe('folders with weights that a case names but does not contain'),
  out: outFile,
  force,
  ...common,
});

const COLUMNS = ['case', 'tensor', 'shape', 'max_abs_diff', 'max_rel_diff', 'pass'];

export const verify = defineCommand({
  name: 'verify',
  describe:
    'Recomputes recorded cases (config.json, weights.safetensors, io.safetensors) and compares every recorded output; exit code 1 if one differs.',
  examples: [
    ['maetok verify golden/vavae/official-shape-ch8', 'one case'],
    ['maetok verify golden/*/* --out verify.csv', 'many cases'],
    ['maetok verify golden/taesd/photo --weights weights/taesd', 'a case whose weights are elsewhere'],
  ],
  inputs: { name: 'case', describe: 'folders of recorded cases', max: 1000 },
  options,
  async run(chosen, folders, context) {
    const { startEngine } = await import('../engine/index.js');
    const { verifyCase } = await import('../verify/index.js');
    const engine = await startEngine();
    const isNative = engine === 'native' || engine === 'gpu' || engine === 'stock';
    const tolerance = chosen.tolerance ?? (isNative ? TOLERANCE.native : TOLERANCE.other);
    const rows: Row[] = [];
    const failed: string[] = [];
    const progress = context.log.progress('verifying', folders.length, 'cases');
    for (const [i, folder] of folders.entries()) {
      if (context.signal.aborted) throw new UserError('interrupted; nothing was written', EXIT.interrupted);
      const found = await verifyCase(folder, { tolerance, weightFolders: chosen.weights });
      rows.push(...found.map(row => ({ ...row })));
      if (found.some(({ pass }) => !pass)) failed.push(folder);
      progress.update(i + 1);
    }
    progress.stop();
    await writeTable(context, COLUMNS, rows, { ...chosen, protocol: { command: 'verify', engine, tolerance } });
    if (failed.length > 0)
      throw new UserError(
        `verify: ${failed.length} of ${folders.length} cases differ: ${failed.join(', ')}`,
        EXIT.failed,
      );
  },
});
