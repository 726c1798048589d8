import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { afterEach, describe, expect, test } from '@jest/globals';
import { hubWeights } from '../../src/io/index.js';
import { parseHubSpec } from '../../src/io/hub.js';
import { hubStub, type HubStub } from '../helpers/hub.js';
import { tempFolder } from '../helpers/temp.js';

const root = tempFolder();
let used = 0;
const fresh = (): string => join(root, `cache-${used++}`);
const weights = Buffer.from(Uint8Array.from({ length: 300_000 }, (_, i) => i % 251));
const files = () => ({ 'config.json': Buffer.from('{"channels": 4}'), 'model.safetensors': weights });

const stubs: HubStub[] = [];
afterEach(async () => {
  await Promise.all(stubs.splice(0).map(stub => stub.stop()));
});

async function hubOf(content: Record<string, Buffer>): Promise<HubStub> {
  const stub = await hubStub('owner/name', content);
  stubs.push(stub);
  return stub;
}

describe('weights by the id of a Hugging Face repository', () => {
  test('come with their config, and once only', async () => {
    const hub = await hubOf(files());
    const options = { hubUrl: hub.url, cache: fresh() };
    const path = await hubWeights('hf:owner/name', options);
    expect(await readFile(path)).toEqual(weights);
    expect(await readFile(join(dirname(path), 'config.json'), 'utf8')).toBe('{"channels": 4}');
    const before = hub.downloads.length;
    expect(await hubWeights('hf:owner/name', options)).toBe(path);
    expect(hub.downloads.length).toBe(before);
  });

  test('of a folder come with what stands beside them there', async () => {
    const hub = await hubOf({
      ...files(),
      'vae/config.json': Buffer.from('{"channels": 16}'),
      'vae/diffusion_pytorch_model.safetensors': weights,
      'vae/diffusion_pytorch_model-latents-stats.pt': Buffer.from('statistics'),
    });
    const options = { hubUrl: hub.url, cache: fresh() };
    const path = await hubWeights('hf:owner/name/vae', options);
    expect(await hubWeights('hf:owner/name/vae/diffusion_pytorch_model.safetensors', options)).toBe(path);
    expect(await readFile(join(dirname(path), 'config.json'), 'utf8')).toBe('{"channels": 16}');
    expect(existsSync(path.replace('.safetensors', '-latents-stats.pt'))).toBe(true);
    await hub.stop();
    expect(await hubWeights('hf:owner/name/vae', { ...options, offline: true })).toBe(path);
  });

  test('offline they come from the cache, or one line says what is missing', async () => {
    const hub = await hubOf(files());
    const options = { hubUrl: hub.url, cache: fresh() };
    await expect(hubWeights('hf:owner/name', { ...options, offline: true })).rejects.toThrow(
      /hf:owner\/name: revision main is not in the cache and --offline forbids it/,
    );
    const path = await hubWeights('hf:owner/name', options);
    await hub.stop();
    expect(await hubWeights('hf:owner/name', { ...options, offline: true })).toBe(path);
    expect(await hubWeights('hf:owner/name', options)).toBe(path);
    await expect(hubWeights('hf:owner/name/other.pt', { ...options, offline: true })).rejects.toThrow(
      /no file other\.pt/,
    );
  });

  test('an interrupted download resumes where it stopped', async () => {
    const hub = await hubOf(files());
    hub.large.add('model.safetensors');
    hub.cutAfter = 100_000;
    const options = { hubUrl: hub.url, cache: fresh() };
    await expect(hubWeights('hf:owner/name', options)).rejects.toThrow(/interrupted .*run again to resume/);
    hub.cutAfter = undefined;
    hub.downloads.length = 0;
    expect(await readFile(await hubWeights('hf:owner/name', options))).toEqual(weights);
    expect(hub.downloads.at(-1)).toMatch(/^model\.safetensors [1-9]\d*-299999$/);
  });

  test('a file with another checksum than the hub states is not kept', async () => {
    const hub = await hubOf(files());
    hub.corrupt.add('model.safetensors');
    const cache = fresh();
    await expect(hubWeights('hf:owner/name', { hubUrl: hub.url, cache })).rejects.toThrow(/does not have the checksum/);
    expect(existsSync(join(cache, 'models--owner--name', 'snapshots', 'c'.repeat(40), 'model.safetensors'))).toBe(
      false,
    );
  });

  test('one file of unusual name is taken', async () => {
    const hub = await hubOf({ 'a.pt': Buffer.from('a') });
    const options = { hubUrl: hub.url, cache: fresh() };
    expect(await readFile(await hubWeights('hf:owner/name', options), 'utf8')).toBe('a');
  });

  test('of several files of unusual names, one must be named', async () => {
    const hub = await hubOf({ 'a.pt': Buffer.from('a'), 'b.pt': Buffer.from('b') });
    const options = { hubUrl: hub.url, cache: fresh() };
    await expect(hubWeights('hf:owner/name', options)).rejects.toThrow(
      /holds a\.pt, b\.pt; say which, e\.g\. hf:owner\/name\/a\.pt/,
    );
    expect(await readFile(await hubWeights('hf:owner/name/b.pt', options), 'utf8')).toBe('b');
  });

  test('shards come with their index', async () => {
    const index = JSON.stringify({ weight_map: { a: 'm-1.safetensors', b: 'm-2.safetensors' } });
    const hub = await hubOf({
      'model.safetensors.index.json': Buffer.from(index),
      'm-1.safetensors': Buffer.from('1'),
      'm-2.safetensors': Buffer.from('2'),
    });
    const path = await hubWeights('hf:owner/name', { hubUrl: hub.url, cache: fresh() });
    expect(await readFile(join(dirname(path), 'm-2.safetensors'), 'utf8')).toBe('2');
  });

  test('a repository that is not there is one line', async () => {
    const hub = await hubOf(files());
    await expect(hubWeights('hf:owner/none', { hubUrl: hub.url, cache: fresh() })).rejects.toThrow(
      /hf:owner\/none: the hub answers 404: Repository not found/,
    );
  });
});

describe('the name of a repository', () => {
  test('may carry a revision and a file', () => {
    expect(parseHubSpec('hf:a/b')).toEqual({ repository: 'a/b', revision: 'main', file: undefined });
    expect(parseHubSpec('hf:a/b@v1.0/c/d.pt')).toEqual({ repository: 'a/b', revision: 'v1.0', file: 'c/d.pt' });
  });

  test.each(['hf:a', 'hf:../b', 'hf:a/b/../../c', 'hf:a/..', 'hf:a/b@..'])('%s is refused', spec => {
    expect(() => parseHubSpec(spec)).toThrow(/hf:owner\/name/);
  });
});
