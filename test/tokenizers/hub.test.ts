import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { openTokenizer } from '../../src/tokenizers/index.js';
import { hubStub, type HubStub } from '../helpers/hub.js';
import { tempFolder } from '../helpers/temp.js';

const cache = tempFolder();
let hub: HubStub;

beforeAll(async () => {
  hub = await hubStub('owner/name', { 'notes.md': Buffer.from('x') });
  // A test file has an environment of its own.
  Object.assign(process.env, { HF_ENDPOINT: hub.url, HF_HUB_CACHE: cache });
});

afterAll(() => hub.stop());

test('hf:owner/name is looked for on the hub', async () => {
  await expect(openTokenizer('hf:owner/name')).rejects.toThrow(/hf:owner\/name: holds no weights; it has notes\.md/);
});

test('offline it is looked for in the cache only', async () => {
  await expect(openTokenizer('hf:owner/other', { offline: true })).rejects.toThrow(
    /hf:owner\/other: revision main is not in the cache and --offline forbids it/,
  );
});
