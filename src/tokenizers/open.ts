import { existsSync, statSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { UserError, type Log } from '../base/index.js';
import {
  combinedDigest,
  hubWeights,
  isRun,
  memoryBytes,
  readRun,
  readWeights,
  readYaml,
  sha256Of,
  sha256OfFile,
  type NdArray,
} from '../io/index.js';
import { prefixed, under } from '../nn/index.js';
import { isFeatureSpec, openFeatures } from './features.js';
import { openOnnxTokenizer } from './onnx/tokenizer.js';
import { FAMILIES } from './registry.js';
import type { OpenOptions, Tokenizer, TokenizerFamily, TokenizerSource } from './tokenizer.js';

/**
 * Opens a tokenizer: a run folder; a weights file or folder of any published system; `hf:owner/name`;
 * `onnx:ENCODER[,DECODER]` or `onnx:FILE.yaml`; `ENCODER,DECODER` where a system keeps its halves in two files, also
 * behind a name, `taef2:ENCODER,DECODER`; `effnet-lite0:WEIGHTS` for features in place of latents.
 */
export async function openTokenizer(spec: string, options: OpenOptions = {}): Promise<Tokenizer> {
  if (spec.startsWith('onnx:')) return await openOnnxTokenizer(spec.slice('onnx:'.length), options);
  if (isFeatureSpec(spec)) return await openFeatures(spec, options);
  const source = await readSource(spec, options);
  const found = recognised(source) ?? recognisedWithin(source, options.log);
  if (!found) throw unknownWeights(source);
  refuseStatistics(source);
  return await found.family.open(found.source, options);
}

/** Statistics that diffusers' pipelines normalise latents with: without them the latents would be others, silently. */
function refuseStatistics({ name, config }: TokenizerSource): void {
  const places = [config, config.parameters].filter(place => typeof place === 'object' && place !== null);
  const field = ['latents_mean', 'latents_std'].find(key =>
    places.some(place => ((place as Record<string, unknown>)[key] ?? null) !== null),
  );
  if (field !== undefined)
    throw new UserError(
      `${name}: config field ${field}: latents normalised per channel are not supported yet; set it to null to get the network's latents times scaling_factor`,
    );
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

async function readSource(spec: string, options: OpenOptions): Promise<TokenizerSource> {
  const path = spec.startsWith('hf:') ? await hubWeights(spec, options) : localPath(spec);
  const given = options.config === undefined ? undefined : await readConfigFile(options.config);
  if (isRun(path)) return await runSource(path, options);
  const { log } = options;
  const [encoder, decoder] = path.split(',').map(part => part.trim());
  const second = decoder || siblingDecoder(encoder);
  const weights =
    second === undefined
      ? await readWeights(encoder, { log })
      : {
          ...prefixed(await readWeights(encoder, { log }), 'encoder'),
          ...prefixed(await readWeights(second, { log }), 'decoder'),
        };
  return {
    name: encoder,
    weights,
    config: given ?? (await configBeside(encoder)),
    digest: await digestOf(second === undefined ? [encoder] : [encoder, second], weights),
  };
}

const WAYS = 'use a path, hf:owner/name, onnx:ENCODER[,DECODER], effnet-lite0:WEIGHTS or NAME:ENCODER[,DECODER]';

/** A spec without its name (`taef2:`). */
function localPath(spec: string): string {
  const named = /^([a-z][\w-]+):(.+)$/.exec(spec);
  if (existsSync(spec) || (!named && spec.includes(','))) return spec;
  if (!named) throw new UserError(`${spec}: no such file or folder; ${WAYS}`);
  const [, name, rest] = named;
  const known = FAMILIES.flatMap(({ presets }) => presets.map(preset => preset.name));
  if (known.includes(name)) return rest;
  throw new UserError(
    `tokenizer '${spec}': '${name}:' is not a known prefix; ${WAYS} with NAME one of ${known.join(', ')}`,
  );
}

async function runSource(folder: string, { weights, log }: OpenOptions): Promise<TokenizerSource> {
  const run = await readRun(folder, { weights, log });
  return { name: folder, weights: await readWeights(run.weights), config: run.config, digest: run.digest };
}

/** `x_encoder.pth` and `x_decoder.pth` in one folder form one tokenizer. */
function siblingDecoder(encoder: string): string | undefined {
  if (!/_encoder\.\w+$/.test(basename(encoder))) return undefined;
  const sibling = join(dirname(encoder), basename(encoder).replace('_encoder.', '_decoder.'));
  return existsSync(sibling) ? sibling : undefined;
}

async function configBeside(path: string): Promise<Record<string, unknown>> {
  const folder = existsSync(path) && statSync(path).isDirectory() ? path : dirname(path);
  const config = join(folder, 'config.json');
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
    `${name}: not the weights of a tokenizer that maetok knows (${names}); its tensors begin ${keys}`,
  );
}
