import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { EXIT, messageOf, UserError, withLock, type Log } from '../../base/index.js';
import {
  engineCache,
  engineName,
  installedEngines,
  isCurrent,
  MANIFEST,
  TENSORFLOW_VERSION,
  type Build,
  type InstalledEngine,
  type Manifest,
} from '../installed.js';
import { digestOf } from '../kernel-sources.js';
import { compileBinding, compileProducts, findCompiler, isHeader } from './compile.js';
import { openPackages } from './packages.js';
import { recipeFor, type InstallRecipe } from './platform.js';
import { requirementsOf, type Requirement } from './requirements.js';
import { smokeTest } from './smoke.js';
import { systemTools, type Tools } from './tools.js';
import { openWheel, type UnpackedFile, type Wheel } from './wheel.js';
import type { WheelFile } from './wheel-source.js';

export interface InstallOptions {
  gpu: boolean;
  /** A TensorFlow wheel on disk, instead of a download. */
  from?: string | undefined;
  /** Replace an engine that is there already. */
  force?: boolean | undefined;
  log: Log;
  signal?: AbortSignal | undefined;
  tools?: Tools;
  cache?: string;
}

/** The extra of TensorFlow's wheel that names the CUDA libraries it was built for. */
const CUDA_EXTRA = 'and-cuda';

const GIGABYTE = 1e9;
/** Room for the wheels and what is unpacked from them, side by side. */
const NEEDED_BYTES: Record<Build, number> = { cpu: 1.3 * GIGABYTE, gpu: 12 * GIGABYTE };

/** Which wheels an installation would fetch. Fetches descriptions only. */
export async function planInstall({ gpu, log, signal, tools = systemTools }: InstallOptions): Promise<WheelFile[]> {
  const recipe = recipeFor(gpu ? 'gpu' : 'cpu');
  const packages = await openPackages(recipe, tools, log);
  return await step('look-up', signal, async () => {
    const tensorflow = await packages.resolve([tensorflowOf(recipe)], signal);
    const cuda = gpu ? requirementsOf(CUDA_EXTRA, tensorflow[0].requires) : [];
    return [...tensorflow, ...(cuda.length > 0 ? await packages.resolve(cuda, signal) : [])];
  });
}

/**
 * Gives the package a current TensorFlow: its libraries from the Python wheel, and tfjs-node's addon compiled against
 * them. Everything happens in a folder beside the final one, which is renamed when a smoke test has passed.
 * @throws UserError that names the failed step; nothing is left behind.
 */
export async function installEngine(options: InstallOptions): Promise<InstalledEngine> {
  const { gpu, log, signal, cache = engineCache() } = options;
  const recipe = recipeFor(gpu ? 'gpu' : 'cpu');
  const name = engineName(TENSORFLOW_VERSION, recipe.build);
  await mkdir(cache, { recursive: true });
  return await withLock(join(cache, `${name}.lock`), { log, signal }, async () => {
    await removeLeftovers(cache, name);
    const present = installedEngines(cache).find(engine => engine.build === recipe.build);
    const current = present !== undefined && isCurrent(present);
    if (present && !current) log.note('the installed engine was compiled with kernels of another version');
    if (present && current && options.force !== true && options.from === undefined) {
      log.note(`TensorFlow ${present.tensorflow} (${present.build}) is already installed in ${present.folder}`);
      return present;
    }
    const staging = await mkdtemp(join(cache, `.${name}-`));
    try {
      return await build(recipe, staging, cache, options);
    } finally {
      await rm(staging, { recursive: true, force: true });
    }
  });
}

async function build(
  recipe: InstallRecipe,
  staging: string,
  cache: string,
  options: InstallOptions,
): Promise<InstalledEngine> {
  const { log, signal, from, tools = systemTools } = options;
  // Steps without a download come first, so that they fail within a second and not after minutes.
  const compiler = await step('compiler', signal, () => findCompiler(tools));
  await step('disk space', signal, () => checkSpace(staging, recipe.build, tools));

  const wheels = join(staging, 'wheels');
  await mkdir(wheels);
  const main = from ?? (await download(recipe, [tensorflowOf(recipe)], wheels, 'TensorFlow', options))[0];
  const tensorflow = await step('wheel', signal, () => openTensorflow(main, recipe));
  log.note(`unpacking TensorFlow ${tensorflow.version}`);
  const engine = join(staging, 'engine');
  const unpacked = await step('unpack', signal, () =>
    tensorflow.unpack(engine, path => recipe.libraries.includes(path) || isHeader(path), signal),
  );
  const libraries = unpacked.filter(({ path }) => !isHeader(path));
  await step('unpack', signal, () => requireLibraries(recipe, libraries, main));
  if (recipe.build === 'gpu') libraries.push(...(await unpackCuda(recipe, tensorflow, wheels, engine, options)));

  log.note('compiling the addon');
  const binding = await step('compile', signal, () => compileBinding(engine, recipe, compiler, tools, signal));
  const products = await step('compile', signal, () => compileProducts(engine, recipe, compiler, tools, signal));
  await rm(join(engine, 'tensorflow/include'), { recursive: true });
  const { version, gpu } = await step('smoke test', signal, () => smokeTest(join(engine, binding), tools));
  if (recipe.build === 'gpu' && !gpu) log.warn('installed, but TensorFlow sees no GPU here: it will run on the CPU');

  const manifest = await describeEngine(recipe, version, { binding, products }, libraries, engine);
  await writeFile(join(engine, MANIFEST), `${JSON.stringify(manifest, null, 2)}\n`);
  const folder = join(cache, engineName(version, recipe.build));
  await step('put in place', signal, () => replaceFolder(engine, folder, join(staging, 'former')));
  return { ...manifest, folder };
}

const tensorflowOf = ({ distribution, version }: InstallRecipe): Requirement => ({
  name: distribution,
  range: `==${version}`,
});

async function download(
  recipe: InstallRecipe,
  requirements: Requirement[],
  folder: string,
  what: string,
  { log, signal, tools = systemTools }: InstallOptions,
): Promise<string[]> {
  const packages = await openPackages(recipe, tools, log);
  log.note(
    `downloading ${what} through ${packages.name}: ${requirements.map(({ name, range }) => name + range).join(' ')}`,
  );
  return await step('download', signal, () => packages.download(requirements, folder, signal));
}

async function openTensorflow(path: string, { distribution }: InstallRecipe): Promise<Wheel> {
  const wheel = await openWheel(path);
  const accepted = ['tensorflow', 'tensorflow-cpu'];
  if (!accepted.includes(wheel.name.replaceAll('_', '-').toLowerCase()))
    throw new Error(`${path}: a wheel of ${wheel.name}, not of ${distribution}`);
  return wheel;
}

function requireLibraries({ libraries }: InstallRecipe, unpacked: UnpackedFile[], wheel: string): Promise<void> {
  const missing = libraries.filter(library => !unpacked.some(({ path }) => path === library));
  if (missing.length > 0)
    throw new Error(
      `${wheel}: has no ${missing.join(' and no ')}; a wheel for ${process.platform} on ${process.arch} was expected`,
    );
  return Promise.resolve();
}

/** The CUDA wheels unpack beside `tensorflow/`, as pip would lay them, where TensorFlow's run paths look for them. */
async function unpackCuda(
  recipe: InstallRecipe,
  tensorflow: Wheel,
  wheels: string,
  engine: string,
  options: InstallOptions,
): Promise<UnpackedFile[]> {
  const needed = requirementsOf(CUDA_EXTRA, tensorflow.requires);
  if (needed.length === 0) return [];
  const folder = join(wheels, 'cuda');
  await mkdir(folder);
  const paths = await download(recipe, needed, folder, 'the CUDA libraries', options);
  return await step('unpack', options.signal, async () => {
    const files: UnpackedFile[] = [];
    for (const path of paths) {
      const wheel = await openWheel(path);
      const keep = (file: string): boolean => file.startsWith('nvidia/') && !file.includes('/include/');
      files.push(...(await wheel.unpack(engine, keep, options.signal)));
    }
    return files;
  });
}

async function describeEngine(
  recipe: InstallRecipe,
  tensorflow: string,
  { binding, products }: Record<'binding' | 'products', string>,
  libraries: UnpackedFile[],
  folder: string,
): Promise<Manifest> {
  const files = Object.fromEntries(libraries.map(({ path, bytes, sha256 }) => [path, { bytes, sha256 }]));
  for (const file of [binding, products])
    files[file] = { bytes: (await stat(join(folder, file))).size, sha256: await sha256(join(folder, file)) };
  const [framework] = recipe.libraries;
  return {
    tensorflow,
    build: recipe.build,
    platform: `${process.platform}-${process.arch}`,
    binding,
    framework,
    kernels: digestOf('kernels'),
    products: { file: products, sources: digestOf('products') },
    logLevelSymbol: await findLogLevelSymbol(join(folder, framework)),
    files,
  };
}

/** The mangled name of absl::SetMinLogLevel, whose inline namespace is another in every release. */
async function findLogLevelSymbol(library: string): Promise<string | undefined> {
  return /_ZN4absl\w{0,30}14SetMinLogLevelE\w{0,40}18LogSeverityAtLeastE/.exec(
    (await readFile(library)).toString('latin1'),
  )?.[0];
}

async function checkSpace(folder: string, build: Build, tools: Tools): Promise<void> {
  const free = await tools.freeBytes(folder);
  const gigabytes = (bytes: number): string => (bytes / GIGABYTE).toFixed(1);
  if (free < NEEDED_BYTES[build])
    throw new Error(
      `${folder}: ${gigabytes(free)} GB free, ${gigabytes(NEEDED_BYTES[build])} GB needed; set MAETOK_ENGINE_DIR to use another place`,
    );
}

/** A rename can't replace a folder: the former one steps aside first, and comes back if the rename fails. */
async function replaceFolder(made: string, final: string, aside: string): Promise<void> {
  const replaced = await rename(final, aside).then(
    () => true,
    () => false,
  );
  try {
    await rename(made, final);
  } catch (error) {
    if (replaced) await rename(aside, final);
    throw error;
  }
}

/** Remains of a killed installation next to the engines. */
async function removeLeftovers(cache: string, name: string): Promise<void> {
  for (const entry of await readdir(cache))
    if (entry.startsWith(`.${name}-`)) await rm(join(cache, entry), { recursive: true, force: true });
}

async function sha256(path: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(path), hash);
  return hash.digest('hex');
}

/** Names the step in whatever goes wrong within it. */
async function step<T>(name: string, signal: AbortSignal | undefined, body: () => Promise<T>): Promise<T> {
  try {
    return await body();
  } catch (error) {
    if (signal?.aborted) throw new UserError('interrupted; nothing was installed', EXIT.interrupted);
    throw new UserError(`engine install failed at step '${name}': ${messageOf(error)}`, EXIT.failed, { cause: error });
  }
}
