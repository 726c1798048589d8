import { UserError } from '../base/index.js';
import { listed } from '../io/index.js';
import type { ArrayInfo } from '../io/index.js';
import type { Shapes } from './config.js';
import { PATCH_EMBEDDINGS, readName, SPELLINGS, UNUSED, type SpellingName } from './spellings.js';

/** A file's tensors under this room's names. */
export interface FoundTensors {
  /** This room's name → the file's. */
  keys: ReadonlyMap<string, string>;
  shapes: Shapes;
  spelling: SpellingName;
  /** The spelling in words. */
  told: string;
  /** What the file would call a tensor: as it calls the same one of another block. */
  spelledAs: (name: string) => string;
}

/** Parts of models of which an image encoder is one: other networks, heads that were trained on it, counters. */
const BESIDE =
  /^(text_model|text_projection|text|transformer|token_embedding|ln_final|positional_embedding|logit_scale|logit_bias|decoder|decoder_\w+|mask_token|classifier|pooler|head|head_dist|fc_norm|dino_head|ibot_head|attn_mask)(\.|$)|(^|\.)position_ids$|\.num_batches_tracked$/;

/**
 * Finds a vision transformer among a file's tensors, under whatever prefix.
 * @throws UserError where there is none, or a tensor is no part of it.
 */
export function tensorsOf(
  name: string,
  tensors: ReadonlyMap<string, Pick<ArrayInfo, 'shape'>>,
  hasTimmConfig: boolean,
  ignores: (key: string) => boolean = () => false,
): FoundTensors {
  const prefix = prefixOf(name, [...tensors.keys()]);
  const keys = new Map<string, string>();
  const shapes = new Map<string, readonly number[]>();
  const seen = new Map<SpellingName, number>();
  const strange: string[] = [];
  let read = 0;
  for (const [key, { shape }] of tensors) {
    const inner = key.startsWith(prefix) ? key.slice(prefix.length) : key;
    const reading = key.startsWith(prefix) || inner.startsWith('visual_projection') ? readName(inner) : undefined;
    if (reading === undefined) {
      if (!BESIDE.test(inner) && !ignores(key)) strange.push(key);
      continue;
    }
    for (const spelling of reading.spellings) seen.set(spelling, (seen.get(spelling) ?? 0) + 1);
    read++;
    if (reading.name.startsWith(UNUSED) || shape.includes(0)) continue;
    if (keys.has(reading.name))
      throw new UserError(`${name}: tensors ${keys.get(reading.name)!} and ${key} are the same one in two spellings`);
    keys.set(reading.name, key);
    shapes.set(reading.name, shape);
  }
  unpackGate(keys, shapes);
  if (strange.length > 0)
    throw new UserError(
      `${name}: tensor ${strange[0]}${strange.length > 1 ? ` and ${strange.length - 1} more are` : ' is'} no part of a vision transformer that maetok knows, and would not be read; give weights of DINOv2, DINOv3, SigLIP, MAE or CLIP`,
    );
  const fitting = SPELLINGS.filter(spelling => seen.get(spelling) === read);
  const spelling = hasTimmConfig && fitting.includes('timm') ? 'timm' : mostLikely(fitting, shapes);
  return {
    keys,
    shapes,
    spelling,
    told: toldSpelling(fitting, spelling),
    spelledAs: wanted => prefix + spelledLike(keys, prefix, wanted),
  };
}

/** timm keeps a gate and its value in one `fc1`, twice as wide as `fc2` takes. */
function unpackGate(keys: Map<string, string>, shapes: Map<string, readonly number[]>): void {
  const [up, down] = ['up', 'down'].map(part => shapes.get(`blocks.0.mlp.${part}.weight`));
  if (up === undefined || down === undefined || shapes.has('blocks.0.mlp.gate.weight') || up[0] !== 2 * down[1]) return;
  for (const record of [keys, shapes] as Map<string, unknown>[])
    for (const [name, value] of [...record])
      if (/^blocks\.\d+\.mlp\.up\./.test(name)) {
        record.delete(name);
        record.set(name.replace('.up.', '.both.'), value);
      }
}

function prefixOf(name: string, keys: string[]): string {
  const ends = PATCH_EMBEDDINGS.flatMap(end =>
    keys.filter(key => key === end || key.endsWith(`.${end}`)).map(key => key.slice(0, -end.length)),
  );
  if (ends.length === 0)
    throw new UserError(
      `${name}: holds no vision transformer that maetok knows (DINOv2, DINOv3, SigLIP, MAE, CLIP); its tensors begin ${listed(keys)}`,
    );
  return ends.reduce((shortest, prefix) => (prefix.length < shortest.length ? prefix : shortest));
}

/** Of MAE both spellings are the same, and then its authors' way of doing things is what they published. */
const mostLikely = (fitting: SpellingName[], shapes: Shapes): SpellingName =>
  fitting.includes('authors') && shapes.has('pos_embed') && !shapes.has('blocks.0.ls1.gamma') && shapes.has('cls_token')
    ? 'authors'
    : (fitting[0] ?? 'transformers');

const WORDS: Record<SpellingName, string> = {
  transformers: 'transformers 4 (or saved by 5)',
  'transformers 5 in memory': 'transformers 5 in memory',
  timm: 'timm',
  authors: 'its authors’ code',
};

function toldSpelling(fitting: SpellingName[], spelling: SpellingName): string {
  if (fitting.length === 0) return 'a mixture of spellings';
  return fitting.includes('transformers') && fitting.includes('transformers 5 in memory')
    ? 'transformers'
    : WORDS[spelling];
}

const BLOCK = /\b\d+\b/;

function spelledLike(keys: ReadonlyMap<string, string>, prefix: string, wanted: string): string {
  const number = BLOCK.exec(wanted)?.[0];
  const sibling = [...keys].find(
    ([known]) => known !== wanted && known.replace(BLOCK, 'N') === wanted.replace(BLOCK, 'N'),
  );
  if (number === undefined || sibling === undefined) return wanted;
  return sibling[1].slice(prefix.length).replace(/\.\d+\.(?=\D)/, `.${number}.`);
}
