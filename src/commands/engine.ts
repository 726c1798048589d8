import { z } from 'zod';
import { UserError } from '../base/index.js';
import { defineCommand, type Context } from './command.js';
import { common, force } from './options.js';
import { writeTable } from './table.js';

const options = z.object({
  gpu: z.boolean().default(false).describe('the build for NVIDIA GPUs, its CUDA libraries included'),
  from: z.string().optional().describe('a TensorFlow wheel on disk, instead of a download'),
  dryRun: z.boolean().default(false).describe('install: only list what would be downloaded'),
  force,
  ...common,
});
type Options = z.output<typeof options>;

const ACTIONS: Record<string, (chosen: Options, context: Context) => Promise<void>> = { install, list, remove };

export const engine = defineCommand({
  name: 'engine',
  describe: 'Installs, lists or removes the native numeric engine: a current TensorFlow for this machine.',
  examples: [
    ['maetok engine install', 'download TensorFlow for the CPU and compile its addon'],
    ['maetok engine install --gpu', 'the same for NVIDIA GPUs'],
    ['maetok engine install --gpu --dry-run', 'list what that would download'],
    ['maetok engine install --from tensorflow_cpu-2.21.0-….whl', 'from a wheel that is already on disk'],
    ['maetok engine list', 'what is installed'],
    ['maetok engine remove --gpu', 'remove the GPU build'],
  ],
  inputs: { name: 'action', describe: Object.keys(ACTIONS).join(', '), choices: Object.keys(ACTIONS) },
  options,
  // An incomplete download is removed.
  saves: () => true,
  async run(chosen, [action], context) {
    if (!Object.hasOwn(ACTIONS, action))
      throw new UserError(`engine: unknown action '${action}'; choose ${Object.keys(ACTIONS).join(', ')}`);
    await ACTIONS[action](chosen, context);
  },
});

async function install(chosen: Options, context: Context): Promise<void> {
  const { installEngine, planInstall } = await import('../engine/install/index.js');
  const request = { ...chosen, log: context.log, signal: context.signal };
  if (chosen.dryRun) {
    const wheels = await planInstall(request);
    const columns = ['package', 'version', 'file', 'bytes', 'sha256', 'url'];
    await writeTable(
      context,
      columns,
      wheels.map(({ name, version, file, bytes, sha256, url }) => ({
        package: name,
        version,
        file,
        bytes,
        sha256,
        url,
      })),
      {},
    );
    return;
  }
  const { tensorflow, build, folder } = await installEngine(request);
  context.log.note(`TensorFlow ${tensorflow} (${build}) is ready in ${folder}`);
}

async function list(_chosen: Options, context: Context): Promise<void> {
  const { engineCache, installedEngines } = await import('../engine/install/index.js');
  const engines = installedEngines();
  if (engines.length === 0)
    context.log.note(`nothing is installed in ${engineCache()}; \`maetok engine install\` installs it`);
  const rows = engines.map(({ build, tensorflow, platform, files, folder }) => ({
    build,
    tensorflow,
    platform,
    bytes: Object.values(files).reduce((sum, { bytes }) => sum + bytes, 0),
    folder,
  }));
  await writeTable(context, ['build', 'tensorflow', 'platform', 'bytes', 'folder'], rows, {});
}

async function remove({ gpu }: Options, context: Context): Promise<void> {
  const { removeEngine } = await import('../engine/install/index.js');
  const folders = await removeEngine(gpu ? 'gpu' : 'cpu', context);
  if (folders.length === 0) context.log.note(`no ${gpu ? 'GPU' : 'CPU'} build is installed`);
  for (const folder of folders) context.log.note(`removed ${folder}`);
}
