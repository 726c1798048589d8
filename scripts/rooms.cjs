const { readdirSync } = require('node:fs');
const { join } = require('node:path');

/*
 * The rooms of src/ from the ground up: what each holds, and whom it may import. Lint checks every import against this
 * list (.dependency-cruiser.cjs), and `npm run format` writes the table of docs/architecture.md from it.
 */
const rooms = [
  room('base', 'errors, the log, locks, counter-based random numbers, the parts that option schemas are made of', []),
  room('distributed', 'processes that work on one job: ranks, their shares, what they add up and exchange', ['base']),
  room('slurm', 'jobs of a Slurm cluster: their scripts, their submission, how they stand and how they ended', [
    'base',
  ]),
  room('statistics', 'intervals, bootstrap, rank correlation, quantiles: what is said about a few numbers', ['base']),
  room('io', 'npy, npz, safetensors, PyTorch files, Parquet, Arrow, HDF5, tar, images, run folders, the model hub', [
    'base',
    'distributed',
  ]),
  room('rows', '`RowSource`: rows from memory or files, selected, split, sampled, cached', [
    'base',
    'distributed',
    'io',
  ]),
  room('simd', 'WebAssembly routines for loops that no engine has', ['base']),
  room('engine', 'TensorFlow.js’s backends: start-up, installation, linear algebra, precision, gradients', [
    'base',
    'simd',
  ]),
  room('neighbours', 'exact nearest neighbours and their graph', ['base', 'distributed', 'engine']),
  room('nn', 'layers and optimizers as functions over named parameters', ['base', 'engine']),
  room('vision', 'frozen vision transformers (DINOv2, DINOv3, SigLIP, MAE, CLIP), whoever wrote their weights', [
    'base',
    'io',
    'engine',
    'nn',
  ]),
  room('features', 'frozen networks that turn images into feature vectors', ['base', 'io', 'engine', 'nn', 'vision']),
  room('pca', 'principal components and what is done to rows before they are analysed', [
    'base',
    'distributed',
    'rows',
    'simd',
    'engine',
  ]),
  room('gmm', 'Gaussian mixtures: fits, scores, modes, floors', [
    'base',
    'distributed',
    'statistics',
    'io',
    'rows',
    'simd',
    'engine',
  ]),
  room('probe', 'linear, nearest-neighbour and attentive probes of labelled latents', [
    'base',
    'distributed',
    'statistics',
    'io',
    'rows',
    'engine',
    'neighbours',
    'nn',
  ]),
  room('diagnose', 'what latents are like: moments, spectrum, separation, alignment, and what predicts generation', [
    'base',
    'distributed',
    'statistics',
    'rows',
    'engine',
    'neighbours',
  ]),
  room('umap', 'UMAP and t-SNE embeddings, and how faithful they are', [
    'base',
    'distributed',
    'simd',
    'engine',
    'neighbours',
  ]),
  room('metrics', 'FID, KID, precision and recall, PSNR, SSIM, LPIPS, … over features or pairs of images', [
    'base',
    'distributed',
    'statistics',
    'io',
    'engine',
    'neighbours',
    'nn',
    'features',
  ]),
  room('synth', 'planted mixtures and the networks that learn their scores', [
    'base',
    'statistics',
    'engine',
    'nn',
    'gmm',
  ]),
  room('tokenizers', 'a folder per family, one registry; losses, masking, auxiliary targets', [
    'base',
    'statistics',
    'io',
    'engine',
    'nn',
    'vision',
    'features',
  ]),
  room('diffusion', 'the transformer, paths, losses, samplers, guidance', ['base', 'io', 'engine', 'nn']),
  room('training', 'the one loop: optimizer, schedule, moving average, checkpoints, logs', [
    'base',
    'distributed',
    'io',
    'engine',
    'nn',
  ]),
  room('latents', 'latents folders and files, written, read and normalised', ['base', 'distributed', 'io', 'rows']),
  room('data', 'data sets of images, as batches', ['base', 'distributed', 'io']),
  room('report', 'tables into charts and pages; protocol cards compared', ['base', 'io']),
];
rooms.push(room('verify', 'recorded cases recomputed; the one room that may look behind doors', names()));
rooms.push(
  room(
    'jobs',
    'a folder per verb (train, extract, gmm, sample, …): steps of the work, each put together from several rooms',
    names(),
  ),
);
rooms.push(room('compare', 'a study: many jobs into one folder with a report', names()));
rooms.push(room('commands', 'one thin file per subcommand: options → a job → rows', names()));
rooms.push(
  room('cli', 'yargs, config files, progress, errors to exit codes; the only room that ends the process', [
    'base',
    'distributed',
    'engine',
    'commands',
  ]),
);

function room(name, holds, imports) {
  return { name, holds, imports };
}

function names() {
  return rooms.map(({ name }) => name);
}

/** Folders with an index.ts, which is their door: `src/gmm`, `src/tokenizers/vit`, … */
function doors(folder = 'src') {
  const entries = readdirSync(folder, { withFileTypes: true });
  const below = entries.filter(entry => entry.isDirectory()).flatMap(({ name }) => doors(join(folder, name)));
  return entries.some(({ name }) => name === 'index.ts') ? [folder, ...below] : below;
}

module.exports = { rooms, doors };
