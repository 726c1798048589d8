import { cpus, freemem, totalmem } from 'node:os';
import { z } from 'zod';
import { nodeSupport, VERSION, type Log } from '../base/index.js';
import type { EngineKind } from '../engine/index.js';
import { runApart } from './apart.js';
import { defineCommand } from './command.js';
import { common } from './options.js';
import { writeTable, type Row } from './table.js';

const COLUMNS = [
  'engine',
  'status',
  'version',
  'device',
  'gflops_f32',
  'gflops_bf16',
  'memory_gb',
  'eigh',
  'kernels',
  'note',
];

export const doctor = defineCommand({
  name: 'doctor',
  describe: 'Shows which numeric engines run here and how fast, and what would make this machine faster.',
  examples: [
    ['maetok doctor', 'every engine, each in a separate process'],
    ['maetok doctor --engine wasm', 'one engine'],
  ],
  options: z.object(common),
  main: ['engine'],
  async run({ engine }, _inputs, context) {
    const rows = engine === undefined ? await examineAll(context) : [await examine(engine)];
    await writeTable(context, COLUMNS, rows, {});
    if (engine !== undefined) return;
    const gigabytes = (bytes: number): string => (bytes / 2 ** 30).toFixed(1);
    context.log.note(
      `maetok ${VERSION}, ${process.platform} ${process.arch}, ${cpus().length} cores, ` +
        `${gigabytes(freemem())} of ${gigabytes(totalmem())} GiB memory free`,
    );
    context.log.note(nodeSupport());
    context.log.note(await ranksHere());
    for (const hint of await advice(rows)) context.log.note(hint);
  },
});

/** Which launchers of several ranks have their library here. */
async function ranksHere(): Promise<string> {
  const { findMpi } = await import('../distributed/index.js');
  const found = (await findMpi()).map(({ family, version, fault }) => {
    const package_ = family === 'MPICH' ? 'mpich' : 'openmpi-bin';
    return version?.split(',')[0].replace(/\s+/g, ' ') ?? fault ?? `no ${family} (\`apt install ${package_}\`)`;
  });
  return `several ranks: ${found.join('; ')}; torchrun and srun need no library`;
}

/** Starts and measures one engine in this process. */
async function examine(kind: EngineKind): Promise<Row> {
  const { describeEngine, measureSpeed, startEngine } = await import('../engine/index.js');
  await startEngine(kind);
  const { version, device, memoryBytes, linearAlgebra, kernels } = await describeEngine();
  const { f32, bf16 } = measureSpeed(kind);
  return {
    engine: kind,
    status: 'ready',
    version,
    device,
    gflops_f32: Math.round(f32 * 10) / 10,
    gflops_bf16: bf16 === undefined ? undefined : Math.round(bf16 * 10) / 10,
    memory_gb: Math.round(memoryBytes / 2 ** 30),
    eigh: linearAlgebra,
    kernels: kernels ? 'fused' : 'composed',
  };
}

/** Each engine in a separate process: two TensorFlows can't share one, and a broken library ends it. */
async function examineAll({ log, signal }: { log: Log; signal: AbortSignal }): Promise<Row[]> {
  const { ENGINES } = await import('../engine/index.js');
  const rows: Row[] = [];
  const progress = log.progress('examining', ENGINES.length, 'engines');
  for (const kind of ENGINES) {
    progress.update(rows.length, kind);
    rows.push(await examineApart(kind, signal));
  }
  progress.update(rows.length);
  progress.stop();
  return rows;
}

async function examineApart(kind: EngineKind, signal: AbortSignal): Promise<Row> {
  const { parse } = await import('csv-parse/sync');
  const { stdout, code, complaint } = await runApart(['doctor', '--engine', kind], { signal });
  if (code === 0) return parse<Row>(stdout, { columns: true })[0];
  const { installedEngines } = await import('../engine/install/index.js');
  const installed = kind === 'native' && installedEngines().length > 0;
  // An exit code means that we reported that it can't start; anything else is a crash.
  return {
    engine: kind,
    status: typeof code === 'number' && !installed ? 'absent' : 'broken',
    note: complaint || `ended by ${code}`,
  };
}

/** Suggestions for making this machine faster, from what was found. */
async function advice(rows: Row[]): Promise<string[]> {
  const { queryGpu } = await import('../engine/index.js');
  const ready = new Map(rows.filter(({ status }) => status === 'ready').map(row => [row.engine, row]));
  const hints: string[] = [];
  if (rows.some(({ engine, status }) => engine === 'native' && status === 'broken'))
    hints.push('faster: the native engine does not start; `maetok engine install --force` rebuilds it');
  else if (!ready.has('native') && !ready.has('gpu'))
    hints.push('faster: `maetok engine install` sets up the native engine, several times the speed of WebAssembly');
  if (!ready.has('gpu') && queryGpu() !== undefined)
    hints.push('faster: there is an NVIDIA GPU here; `maetok engine install --gpu` sets its engine up');
  const best = ready.get('gpu') ?? ready.get('native');
  if (ready.get('native')?.kernels === 'composed')
    hints.push(
      'faster: `maetok engine install` compiles this version’s kernels into the native engine, if it has AVX2',
    );
  if (best && Number(best.gflops_bf16) > 1.2 * Number(best.gflops_f32))
    hints.push('faster: `--precision bf16` speeds up training here');
  if (best && best.engine !== 'gpu' && !String(best.eigh).startsWith('LAPACK'))
    hints.push('faster: PCA of wide latents uses LAPACK if it is installed, e.g. `apt install libopenblas0`');
  if (hints.length === 0) hints.push('nothing to improve: the fastest engine for this machine is installed');
  return hints;
}
