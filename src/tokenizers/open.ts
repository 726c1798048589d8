import { existsSync, statSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { UserError, type Log } from '../base/index.js';
import {
  combinedDigest,
  hubWeights,
  isRun,
  memoryBytes,
  readRun,
  openWeightArrays,
  readYaml,
  sha256Of,
  sha256OfFile,
  sha256OfText,
  type NdArray,
  type WeightArrays,
} from '../io/index.js';
import { prefixed, under } from '../nn/index.js';
import { isFeatureSpec, openFeatures } from './features.js';
import { normalisationCard } from './normalisation.js';
import { normalisedBy } from './normalised.js';
import { openOnnxTokenizer } from './onnx/tokenizer.js';
import { FAMILIES } from './registry.js';
import { configuredNormalisation, readStatistics } from './statistics-file.js';
import type { Halves, OpenOptions, Tokenizer, TokenizerFamily, TokenizerSource } from './tokenizer.js';

/**
 * Opens a tokenizer: a run folder; a weights file or folder of any published system; `hf:owner/name`;
 * `onnx:ENCODER[,DECODER]` or `onnx:FILE.yaml`; `ENCODER,DECODER` where a system keeps its halves in two files, also
 * behind a name, `taef2:ENCODER,DECODER`, each of them also hf:owner/name; `vit:WEIGHTS` or `effnet-lite0:WEIGHTS` for
 * features in place of latents.
 */
export async function openTokenizer(spec: string, options: OpenOptions = {}): Promise<Tokenizer> {
  if (spec.startsWith('onnx:'))
    return await normalised(await openOnnxTokenizer(spec.slice('onnx:'.length), options), options);
  if (isFeatureSpec(spec)) return await normalised(await openFeatures(spec, options), options);
  const { source, close } = await openSource(spec, options);
  try {
    const found = recognised(source) ?? recognisedWithin(source, options.log);
    if (!found) throw unknownWeights(source);
    return await normalised(await opened(found, options), options, found.source);
  } finally {
    await close();
  }
}

/** Tensors that the other half needs. */
const LEFT = { encode: /^(decoder|post_quant_conv)\./, decode: /^(encoder|quant_conv)\./ };

async function opened({ family, source }: Recognised, options: OpenOptions): Promise<Tokenizer> {
  const { only } = options;
  if (!only || !family.splits) return await family.open(source, options);
  const half = await family.open(source, { ...options, leaves: key => LEFT[only].test(key) });
  const absent = () => Promise.reject(new Error(`${source.name} was opened to ${only} only`));
  return { ...half, ...(only === 'encode' ? { decode: absent } : { encode: absent }) };
}

/** A network with its normalisation around it: the file that was named, one that belongs to the weights, the config's. */
async function normalised(network: Tokenizer, options: OpenOptions, source?: TokenizerSource): Promise<Tokenizer> {
  try {
    refuseSize(network, options.imageSize);
    const path = options.statistics ?? (source && statisticsOf(source));
    if (path !== undefined) return await withStatistics(network, path, options.log);
    const configured = source && configuredNormalisation(source.name, source.config, network.latentShape);
    const { normalisation } = network;
    return normalisedBy(normalisation.per === 'all' && configured ? configured : normalisation, network);
  } catch (error) {
    network.dispose();
    throw error;
  }
}

function refuseSize({ name, imageSize, sizeMultiple = 1 }: Tokenizer, wanted = imageSize): void {
  if (wanted !== imageSize)
    throw new UserError(`--image-size ${wanted}: ${name} takes images of ${imageSize} pixels only`);
  if (imageSize % sizeMultiple === 0) return;
  throw new UserError(`--image-size ${imageSize}: does not divide by ${sizeMultiple}, as ${name} needs`);
}

/** The file's statistics belong to what the latents depend on, and so to the digest. */
async function withStatistics(network: Tokenizer, path: string, log?: Log): Promise<Tokenizer> {
  const normalisation = await readStatistics(path, network.latentShape);
  log?.note(`${network.name}: latents are normalised per ${normalisation.per} by ${path}`);
  const { latent_shift: shift, latent_scale: scale } = await normalisationCard(normalisation);
  const digest = combinedDigest({ weights: network.digest, statistics: sha256OfText(JSON.stringify([shift, scale])) });
  return normalisedBy(normalisation, { ...network, digest });
}

/** REPA-E keeps the statistics of `x.pt` in `x-latents-stats.pt`, RAE those of a decoder in the decoder's folder. */
function statisticsOf({ name, halves }: TokenizerSource): string | undefined {
  const beside = ['stat.pt', 'stats.pt'].flatMap(file => (halves ? [join(dirname(halves.decoder), file)] : []));
  return [name.replace(/\.\w+$/, '-latents-stats.pt'), ...beside].find(path => path !== name && existsSync(path));
}

interface Recognised {
  family: TokenizerFamily;
  source: TokenizerSource;
}

function recognised(source: TokenizerSource): Recognised | undefined {
  const family = FAMILIES.find(({ recognises }) => recognises(source));
  return family && { family, source };
}

/** A tokenizer that is one module of what was trained, beside its losses or within a network that uses it. */
function recognisedWithin(source: TokenizerSource, log?: Log): Recognised | undefined {
  const [names, inner] = [Object.keys(source.weights), '.encoder.'];
  const modules = new Set(names.filter(name => name.includes(inner)).map(name => name.slice(0, name.indexOf(inner))));
  for (const module of modules) {
    const found = recognised({ ...source, weights: under(source.weights, module) });
    if (!found) continue;
    log?.note(`${source.name}: takes the tokenizer (${found.family.name}) from its tensors under ${module}`);
    return found;
  }
  return undefined;
}

/** The files that a source's weights are read from, as they are looked at. */
interface OpenSource {
  source: TokenizerSource;
  close: () => Promise<void>;
}

async function openSource(spec: string, options: OpenOptions): Promise<OpenSource> {
  const { system, path } = withoutName(spec);
  const given = options.config === undefined ? undefined : await readConfigFile(options.config);
  if (isRun(path)) return await runSource(path, options);
  const [encoder, decoder] = await Promise.all(path.split(',').map(part => localFile(part.trim(), options)));
  const second = decoder || siblingDecoder(encoder);
  const paths = second === undefined ? [encoder] : [encoder, second];
  const { weights, close } = await openHalves(paths, options);
  try {
    const source = {
      name: encoder,
      weights,
      config: given ?? (await configBeside(encoder)),
      ...(second === undefined ? {} : { halves: await halvesOf(system, encoder, second) }),
      digest: await digestOf(paths, weights),
    };
    return { source, close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** The weights of a file, or of an encoder's and a decoder's under `encoder.` and `decoder.`. */
async function openHalves(
  paths: string[],
  { log }: OpenOptions,
): Promise<Pick<TokenizerSource, 'weights'> & Pick<OpenSource, 'close'>> {
  const files: WeightArrays[] = [];
  const close = async (): Promise<void> => {
    for (const file of files) await file.close();
  };
  try {
    for (const path of paths) files.push(await openWeightArrays(path, { log }));
  } catch (error) {
    await close();
    throw error;
  }
  const [{ arrays }, second] = files as [WeightArrays, WeightArrays?];
  const weights = second ? { ...prefixed(arrays, 'encoder'), ...prefixed(second.arrays, 'decoder') } : arrays;
  return { weights, close };
}

const WAYS =
  'use a path, hf:owner/name, onnx:ENCODER[,DECODER], vit:WEIGHTS, effnet-lite0:WEIGHTS or NAME:ENCODER[,DECODER]';

/** A spec with the name before it (`taef2:`), which is a system's or a family's, taken off. */
function withoutName(spec: string): { system?: string; path: string } {
  const named = /^([a-z][\w-]+):(.+)$/.exec(spec);
  if (spec.startsWith('hf:') || existsSync(spec) || (!named && spec.includes(','))) return { path: spec };
  if (!named) throw new UserError(`${spec}: no such file or folder; ${WAYS}`);
  const [, name, rest] = named;
  const known = FAMILIES.flatMap(({ name, presets }) => [name, ...presets.map(preset => preset.name)]);
  if (known.includes(name)) return { system: name, path: rest };
  throw new UserError(
    `tokenizer '${spec}': '${name}:' is not a known prefix; ${WAYS} with NAME one of ${known.join(', ')}`,
  );
}

const localFile = async (part: string, options: OpenOptions): Promise<string> =>
  part.startsWith('hf:') ? await hubWeights(part, options) : part;

/** Of one config.json for both halves, `model_type` says that it is the encoder's. */
async function halvesOf(system: string | undefined, encoder: string, decoder: string): Promise<Halves> {
  const [first, second] = [await configBeside(encoder), await configBeside(decoder)];
  const isShared = folderOf(encoder) === folderOf(decoder);
  return {
    system,
    decoder,
    encoderConfig: !isShared || 'model_type' in first ? first : {},
    decoderConfig: !isShared || !('model_type' in first) ? second : {},
  };
}

async function runSource(folder: string, { weights, log }: OpenOptions): Promise<OpenSource> {
  const run = await readRun(folder, { weights, log });
  const { arrays, close } = await openWeightArrays(run.weights);
  return { source: { name: folder, weights: arrays, config: run.config, digest: run.digest }, close };
}

/** `x_encoder.pth` and `x_decoder.pth` in one folder form one tokenizer. */
function siblingDecoder(encoder: string): string | undefined {
  if (!/_encoder\.\w+$/.test(basename(encoder))) return undefined;
  const sibling = join(dirname(encoder), basename(encoder).replace('_encoder.', '_decoder.'));
  return existsSync(sibling) ? sibling : undefined;
}

const folderOf = (path: string): string => (existsSync(path) && statSync(path).isDirectory() ? path : dirname(path));

async function configBeside(path: string): Promise<Record<string, unknown>> {
  const config = join(folderOf(path), 'config.json');
  return existsSync(config) ? await readConfigFile(config) : {};
}

/** A map from a JSON or YAML file. */
async function readConfigFile(path: string): Promise<Record<string, unknown>> {
  const content = await readYaml(path, "a tokenizer's config");
  if (content === null || typeof content !== 'object' || Array.isArray(content))
    throw new UserError(`${path}: a tokenizer's config is a map, e.g. {"scaling_factor": 0.18215}`);
  return content as Record<string, unknown>;
}

/** Digest of the files, or for a folder of its tensors. */
async function digestOf(paths: string[], weights: Record<string, NdArray>): Promise<string> {
  const parts: Record<string, string> = {};
  for (const path of paths) {
    if (statSync(path).isDirectory()) return await digestOfArrays(weights);
    parts[basename(path)] = await sha256OfFile(path);
  }
  const [first] = Object.values(parts);
  return paths.length === 1 ? first : combinedDigest(parts);
}

async function digestOfArrays(weights: Record<string, NdArray>): Promise<string> {
  const parts: Record<string, string> = {};
  for (const [name, { data }] of Object.entries(weights))
    parts[name] = await sha256Of(memoryBytes(name, new Uint8Array(data.buffer, data.byteOffset, data.byteLength)));
  return combinedDigest(parts);
}

function unknownWeights({ name, weights }: TokenizerSource): UserError {
  const names = FAMILIES.map(family => family.name).join(', ');
  const keys = Object.keys(weights).slice(0, 3).join(', ') || 'none';
  return new UserError(
    `${name}: not the weights of a tokenizer that maetok knows (${names}); its tensors begin ${keys} (features of a vision transformer: vit:${name})`,
  );
}
