import { existsSync, readdirSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { isRecord, UserError, type Log } from '../base/index.js';
import { combinedDigest, hubWeights, openWeights, readJson, sha256OfFile } from '../io/index.js';
import { readVision, type Vision } from './read.js';

export interface OpenVisionOptions {
  /** Take repositories of the hub from the cache only. */
  offline?: boolean | undefined;
  log?: Log | undefined;
}

/**
 * Opens a frozen vision transformer: weights of any format and spelling, or a folder or `hf:owner/name` with them, with
 * their config.json and preprocessor_config.json, where there are any, beside them.
 * @throws UserError as `readVision` does.
 */
export async function openVision(spec: string, options: OpenVisionOptions = {}): Promise<Vision & { digest: string }> {
  const path = spec.startsWith('hf:') ? await hubWeights(spec, options) : spec;
  if (!existsSync(path)) throw new UserError(`${path}: no such file or folder`);
  const folder = statSync(path).isDirectory() ? path : dirname(path);
  const [config, preprocessor] = [
    await beside(folder, 'config.json'),
    await beside(folder, 'preprocessor_config.json'),
  ];
  const weights = await openWeights(path, options);
  try {
    const vision = await readVision({ name: spec, weights, config: config ?? {}, preprocessor });
    options.log?.note(`${spec}: ${vision.config.family}, its tensors named as in ${vision.spelling}`);
    return { ...vision, digest: await digestOf(path, folder) };
  } finally {
    await weights.close();
  }
}

async function beside(folder: string, name: string): Promise<Record<string, unknown> | undefined> {
  const path = join(folder, name);
  if (!existsSync(path)) return undefined;
  const content = await readJson(path, 'JSON');
  if (isRecord(content)) return content;
  throw new UserError(`${path}: must hold an object`);
}

/** Of the file, or of all weights of its folder where there are several. */
async function digestOf(path: string, folder: string): Promise<string> {
  if (path !== folder && !path.endsWith('.index.json')) return await sha256OfFile(path);
  const names = readdirSync(folder).filter(name => /\.(safetensors|bin|pth?|ckpt|npz)$/.test(name));
  const digests: Record<string, string> = {};
  for (const name of names.sort()) digests[name] = await sha256OfFile(join(folder, name));
  return combinedDigest(digests);
}
