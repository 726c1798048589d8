import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname, extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build as bundle } from 'esbuild';

const root = fileURLToPath(new URL('..', import.meta.url));
const dist = join(root, 'dist');
const stamp = join(root, 'node_modules/.cache/maetok-built');

/** What is started by its path: the program, the completion of words, threads, what scripts and tests of the build import. */
const ENTRIES = [
  'cli/index',
  'cli/complete',
  'data/worker',
  'distributed/mpi/thread',
  'distributed/tcp/index',
  'distributed/tcp/watch-thread',
  'engine/installed',
];
/** Packages with native code, or with files that they look for beside themselves. */
const SEPARATE = ['@huggingface/hub', '@resvg/resvg-js', 'h5wasm', 'koffi', 'onnxruntime-node', 'sharp'];
/** Packages that others ask for only where there is no better: what Node has itself, and a canvas, where it is installed. */
const UNUSED = ['canvas', 'node-fetch'];

/** Bundles src/ into dist/ if a source is newer than the last build; returns whether it was. */
export async function build({ force = false } = {}) {
  const sources = files(join(root, 'src'));
  const makers = ['package-lock.json', 'tsconfig.json', 'scripts/build.js'].map(path => join(root, path));
  if (!force && isBuilt([...sources, ...makers])) return false;
  // Taken before building: a file saved meanwhile is newer, and builds again.
  const started = new Date();
  // As deep as dist/, whose maps name sources relative to it.
  const made = join(root, `dist-${process.pid}`);
  try {
    const packages = await bundleInto(made);
    writeFileSync(join(made, 'licenses.txt'), packages.map(licenceOf).join('\n\n'));
    for (const asset of sources.filter(path => extname(path) !== '.ts'))
      cpSync(asset, join(made, asset.slice(join(root, 'src').length)));
    // A swap: a maetok that runs meanwhile finds the old build or the new one.
    rmSync(dist, { recursive: true, force: true });
    renameSync(made, dist);
  } finally {
    rmSync(made, { recursive: true, force: true });
  }
  mkdirSync(dirname(stamp), { recursive: true });
  writeFileSync(stamp, started.toISOString());
  return true;
}

function isBuilt(sources) {
  if (!existsSync(stamp) || !existsSync(join(dist, 'cli/index.js'))) return false;
  const built = Date.parse(readFileSync(stamp, 'utf8'));
  return sources.every(path => statSync(path).mtimeMs < built);
}

/** Few files in place of many, since Node takes a millisecond for each. Returns the folders of the packages within. */
async function bundleInto(outdir) {
  const { metafile } = await bundle({
    absWorkingDir: root,
    entryPoints: ENTRIES.map(name => `src/${name}.ts`),
    outdir,
    outbase: 'src',
    bundle: true,
    // What is imported lazily is in files of its own; see src/base/places.ts on where these lie.
    splitting: true,
    chunkNames: 'chunks/[name]-[hash]',
    format: 'esm',
    platform: 'node',
    target: 'node20.19',
    mainFields: ['module', 'main'],
    external: [...SEPARATE, ...UNUSED].flatMap(name => [name, `${name}/*`]),
    plugins: [tensorflowCore, englishAlone],
    // CommonJS packages ask for Node's modules, and for a folder in which they then look for nothing.
    banner: {
      js: `import { createRequire as requireFrom } from 'node:module';\nvar require = requireFrom(import.meta.url);`,
    },
    define: { __dirname: '""' },
    sourcemap: 'linked',
    sourcesContent: false,
    legalComments: 'none',
    metafile: true,
    logLevel: 'warning',
  });
  const inputs = Object.keys(metafile.inputs).map(path =>
    /^node_modules\/(?:.*\/node_modules\/)?(?:@[^/]+\/)?[^/]+/.exec(path),
  );
  return [...new Set(inputs.flatMap(match => match ?? []))].sort();
}

/**
 * TensorFlow.js without its layers, data sets, file formats and WebGL, which are two thirds of it. tfjs-node extends the
 * core's class in the manner of ES5, as a function without `new`.
 */
const tensorflowCore = {
  name: 'tensorflow-core',
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^@tensorflow\/tfjs$/ }, ({ path }) => ({ path, namespace: 'tensorflow-core' }));
    onLoad({ filter: /.*/, namespace: 'tensorflow-core' }, () => ({
      resolveDir: root,
      contents: `
        import * as core from '@tensorflow/tfjs-core';
        import '@tensorflow/tfjs-core/dist/register_all_gradients';
        import '@tensorflow/tfjs-core/dist/public/chained_ops/register_all_chained_ops';
        function KernelBackend() {
          return Reflect.construct(core.KernelBackend, [], this.constructor);
        }
        KernelBackend.prototype = core.KernelBackend.prototype;
        module.exports = { ...core, KernelBackend };`,
    }));
  },
};

/** zod's messages in fifty languages, of which nothing here is shown. */
const englishAlone = {
  name: 'english-alone',
  setup({ onLoad }) {
    onLoad({ filter: /\/zod\/v4\/locales\/index\.js$/ }, () => ({ contents: 'export {}' }));
  },
};

/** A package's name, version and licence, as its makers ask that copies come with them. */
function licenceOf(folder) {
  const { name, version, license } = JSON.parse(readFileSync(join(root, folder, 'package.json'), 'utf8'));
  const texts = readdirSync(join(root, folder))
    .filter(file => /^(licen[cs]e|notice|copying)/i.test(file))
    .map(file => readFileSync(join(root, folder, file), 'utf8').trim());
  return [`${name} ${version} (${license})`, ...texts].join('\n\n');
}

/** Every file below a folder. */
function files(folder) {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter(entry => entry.isFile())
    .map(entry => join(entry.parentPath, entry.name));
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await build({ force: true });
