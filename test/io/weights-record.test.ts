import { describe, expect, test } from '@jest/globals';
import type { PtFile } from '../../src/io/pt.js';
import { selectFromTree } from '../../src/io/weights-container.js';
import { TensorValue, UnreadTensor } from '../../src/io/pt-names.js';
import { silentLog } from '../../src/base/index.js';
import type { DType } from '../../src/io/index.js';

const tensor = (shape: number[], dtype: DType = 'float32'): TensorValue =>
  new TensorValue({ key: '0', dtype, elementBytes: 4, length: 1 }, dtype, 0, shape, [], false);

const scalar = tensor([]);
const bytes = tensor([5056], 'uint8');
const NAMES = ['encoder.weight', 'encoder.bias', 'decoder.weight'];
const weights = (prefix = ''): Record<string, TensorValue> =>
  Object.fromEntries(NAMES.map(name => [prefix + name, tensor([2, 2])]));
const half = { weight: tensor([2, 2]), bias: tensor([2]) };
const optimizer = { state: { 0: { step: scalar, exp_avg: tensor([2, 2]) } }, param_groups: [{ params: [0] }] };

/** Python's dicts as the pickle's reader gives them. */
const dict = (value: unknown): unknown => {
  if (value instanceof TensorValue || value instanceof UnreadTensor || typeof value !== 'object' || value === null)
    return value;
  return Array.isArray(value)
    ? value.map(dict)
    : new Map(Object.entries(value).map(([key, item]) => [key, dict(item)]));
};

const file = (saved: unknown): PtFile => ({
  name: 'x.pt',
  value: dict(saved),
  read: () => Promise.reject(new Error('not read')),
  close: () => Promise.resolve(),
});

const opened = (saved: unknown, choice = {}): { names: string[]; key: string | undefined } => {
  const { tensors, metadata } = selectFromTree(file(saved), choice);
  return { names: [...tensors.keys()], key: metadata.key };
};

describe('the record of weights is found', () => {
  test.each<[what: string, saved: unknown, key: string | undefined]>([
    ['a plain state dict', weights(), undefined],
    ['beside a generator’s state', { model: weights(), rng_state: bytes, cuda: [bytes] }, 'model'],
    ['beside an accuracy', { state_dict: weights(), best_prec1: scalar, optimizer }, 'state_dict'],
    ['beside an accuracy of one element', { state_dict: weights('module.'), best_acc1: tensor([1]) }, 'state_dict'],
    ['averaged by timm', { state_dict: {}, state_dict_ema: weights(), optimizer }, 'state_dict_ema'],
    [
      'averaged by torchvision',
      { model: weights(), model_ema: { n_averaged: scalar, ...weights('module.') } },
      'model_ema',
    ],
    ['averaged by BasicSR', { params: weights(), params_ema: weights() }, 'params_ema'],
    ['averaged, with its decay', { model: weights(), ema: { module: weights(), updates: scalar } }, 'ema.module'],
    ['beside averages without names', { model: weights(), ema: { decay: 0.9, shadow_params: [tensor([2])] } }, 'model'],
    [
      'averaged, in one dict with the others',
      { ...weights('ema_model.'), ...weights('model.'), step: scalar },
      'ema_model',
    ],
    ['of Lightning', { state_dict: weights('model.'), optimizer_states: [optimizer], loops: {} }, 'state_dict'],
    ['of Lightning under DDP', { state_dict: weights('module.model.') }, 'state_dict'],
    ['of Lightning, compiled', { state_dict: weights('model._orig_mod.') }, 'state_dict'],
    ['under a name of its own', { painter: weights(), optimizer, rng_state: bytes }, 'painter'],
    ['of a generator, not its discriminator', { discriminator: weights(), generator: weights() }, 'generator'],
    ['in a list with its optimizer', [weights(), optimizer], '0'],
    ['under a number', { 0: weights(), 1: { lr: 0.1 } }, '0'],
    ['two levels down', { state: { model: weights(), optimizer }, epoch: 3 }, 'state.model'],
    ['in two halves', { encoder: half, decoder: { weight: tensor([2, 2]) }, optimizer, step: scalar }, undefined],
  ])('%s', (_what, saved, key) => {
    expect(opened(saved)).toEqual({ names: NAMES, key });
  });

  test('one half alone keeps its name', () => {
    expect(opened({ encoder: { 'conv.weight': tensor([2]) } }).names).toEqual(['encoder.conv.weight']);
  });

  test('a network that has dots in its names is not given up for another record', () => {
    expect(opened({ ...weights(), model: { scale: tensor([2]) } }).names).toEqual([...NAMES, 'model.scale']);
  });

  test('raw weights are never the averaged ones', () => {
    expect(opened({ model: weights(), ema: weights() }, { weights: 'raw' }).key).toBe('model');
    expect(() => opened({ ema: weights(), opt: optimizer }, { weights: 'raw' })).toThrow(
      /x\.pt: holds averaged weights only/,
    );
  });

  test('the log says what was taken, what else there is and how to get it', () => {
    const said: string[] = [];
    const log = { ...silentLog, note: (text: string) => said.push(text), warn: (text: string) => said.push(text) };
    const ema = { n_averaged: scalar, ...weights('module.'), freqs_cis: new UnreadTensor('complex64') };
    selectFromTree(file({ model: weights(), ema }), { log });
    expect(said).toEqual([
      'x.pt: weights of its record ema; it also has model (maetok convert x.pt --key model)',
      'x.pt: left out n_averaged, which are counters, not weights',
      'x.pt: skipped freqs_cis (complex64): not dense real numbers',
    ]);
  });

  test('a file with only such tensors is refused with their kinds', () => {
    expect(() => opened({ s: new UnreadTensor('sparse') })).toThrow(/x\.pt: holds no tensors .*, only s \(sparse\)/);
  });
});

describe('wrappers are removed from the names', () => {
  test.each<[what: string, names: string[], expected: string[]]>([
    ['compiled inside', ['encoder._orig_mod.w', 'decoder.w'], ['encoder.w', 'decoder.w']],
    ['sharded', ['_fsdp_wrapped_module.a._checkpoint_wrapped_module.w', 'b._fpw_module.w'], ['a.w', 'b.w']],
    ['halves in parallel', ['encoder.module.w', 'decoder.module.w'], ['encoder.w', 'decoder.w']],
    ['not where one weight lacks it', ['module.a.w', 'head.w'], ['module.a.w', 'head.w']],
    ['not Lightning’s twice', ['model.model.w'], ['model.w']],
    ['not what LDM publishes', ['model.diffusion_model.out.w'], ['model.diffusion_model.out.w']],
    ['not within an encoder', ['encoder.model.w', 'encoder.module.w'], ['encoder.model.w', 'encoder.module.w']],
    ['not where two names would be one', ['a._orig_mod.w', 'a.w'], ['a._orig_mod.w', 'a.w']],
  ])('%s', (_what, names, expected) => {
    expect(opened(Object.fromEntries(names.map(name => [name, tensor([2])]))).names).toEqual(expected);
  });

  test('a scalar that is the network’s own stays', () => {
    expect(opened({ ...weights(), logit_scale: scalar }).names).toEqual([...NAMES, 'logit_scale']);
  });
});
