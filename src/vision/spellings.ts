/*
 * How libraries name the tensors of vision transformers. Each row has the name used here and the names of the four ways
 * in which weights are found; `N` stands for a block's number, `|` separates alternatives, and `.weight` and `.bias` are
 * left out where both may follow. Names that transformers 5 changes on saving differ between the first two columns.
 */

export const SPELLINGS = ['transformers', 'transformers 5 in memory', 'timm', 'authors'] as const;
export type SpellingName = (typeof SPELLINGS)[number];

type Row = readonly [name: string, transformers: string, memory: string, timm: string, authors: string];

/** Marks tensors that no forward pass of a trained network reads. */
export const UNUSED = 'unused.';

/** Tensors outside the blocks, and those of blocks whose names depend on how the block is called. */
const WHOLE: readonly Row[] = [
  row(
    'cls_token',
    'embeddings.cls_token | embeddings.class_embedding',
    '=',
    'cls_token',
    'cls_token | class_embedding',
  ),
  row('register_tokens', 'embeddings.register_tokens', '=', 'reg_token', 'register_tokens | storage_tokens'),
  row(
    'pos_embed',
    'embeddings.position_embeddings | embeddings.position_embedding.weight',
    '=',
    'pos_embed',
    'pos_embed | positional_embedding',
  ),
  row(
    'patch_embed.proj',
    'embeddings.patch_embeddings.projection | embeddings.patch_embeddings | embeddings.patch_embedding',
    '=',
    'patch_embed.proj',
    'patch_embed.proj | conv1',
  ),
  row('norm_pre', 'pre_layrnorm', '=', 'norm_pre', 'ln_pre'),
  row('norm', 'layernorm | norm | post_layernorm', '=', 'norm', 'norm | ln_post'),
  row('projection', 'visual_projection', '=', 'head', ''),
  row('projection.transposed', '', '', '', 'proj'),
  row('pool.probe', 'head.probe', '=', 'attn_pool.latent', ''),
  row('pool.attn.qkv.weight', 'head.attention.in_proj_weight', '=', '', ''),
  row('pool.attn.qkv.bias', 'head.attention.in_proj_bias', '=', '', ''),
  row('pool.attn.q', '', '', 'attn_pool.q', ''),
  row('pool.attn.kv', '', '', 'attn_pool.kv', ''),
  row('pool.attn.proj', 'head.attention.out_proj', '=', 'attn_pool.proj', ''),
  row('pool.norm', 'head.layernorm', '=', 'attn_pool.norm', ''),
  row('pool.mlp.up', 'head.mlp.fc1', '=', 'attn_pool.mlp.fc1', ''),
  row('pool.mlp.down', 'head.mlp.fc2', '=', 'attn_pool.mlp.fc2', ''),
  row(`${UNUSED}mask_token`, 'embeddings.mask_token', '=', '', 'mask_token'),
  row(`${UNUSED}position_ids`, 'embeddings.position_ids', '=', '', ''),
  row(`${UNUSED}local_cls_norm`, '', '', '', 'local_cls_norm'),
  row(`${UNUSED}periods`, '', '', '', 'rope_embed.periods'),
  row(`${UNUSED}frequencies`, 'rope_embeddings.inv_freq', '=', '', ''),
  // DINOv3 keeps `layer` without `encoder`, and its attention's names, when it is saved.
  row('blocks.N.attn.q', 'layer.N.attention.q_proj', '', '', ''),
  row('blocks.N.attn.k', 'layer.N.attention.k_proj', '', '', ''),
  row('blocks.N.attn.v', 'layer.N.attention.v_proj', '', '', ''),
  row('blocks.N.attn.proj', 'layer.N.attention.o_proj', '', '', ''),
  row('blocks.N.mlp.gate', 'layer.N.mlp.gate_proj', '', '', ''),
  row('blocks.N.mlp.up', 'layer.N.mlp.up_proj', '', '', ''),
  row('blocks.N.mlp.down', 'layer.N.mlp.down_proj', '', '', ''),
];

/** What a block is called; `M` is the number of a chunk of blocks. */
const BLOCK: Row = row(
  'blocks.N',
  'encoder.layer.N | encoder.layers.N | layer.N',
  'encoder.layer.N | encoder.layers.N | layers.N | model.layer.N',
  'blocks.N',
  'blocks.N | blocks.M.N | transformer.resblocks.N',
);

/** Tensors within a block. */
const WITHIN: readonly Row[] = [
  row('norm1', 'norm1 | layernorm_before | layer_norm1', '=', 'norm1', 'norm1 | ln_1'),
  row('norm2', 'norm2 | layernorm_after | layer_norm2', '=', 'norm2', 'norm2 | ln_2'),
  row('attn.q', 'attention.attention.query | self_attn.q_proj', 'attention.q_proj | self_attn.q_proj', '', ''),
  row('attn.k', 'attention.attention.key | self_attn.k_proj', 'attention.k_proj | self_attn.k_proj', '', ''),
  row('attn.v', 'attention.attention.value | self_attn.v_proj', 'attention.v_proj | self_attn.v_proj', '', ''),
  row('attn.qkv', '', '', 'attn.qkv', 'attn.qkv'),
  row('attn.qkv.weight', '', '', '', 'attn.in_proj_weight'),
  row('attn.qkv.bias', '', '', '', 'attn.in_proj_bias'),
  row('attn.qkv.bias_mask', '', '', '', 'attn.qkv.bias_mask'),
  row('attn.q.bias', '', '', 'attn.q_bias', ''),
  row('attn.v.bias', '', '', 'attn.v_bias', ''),
  row(
    'attn.proj',
    'attention.output.dense | self_attn.out_proj',
    'attention.o_proj | self_attn.out_proj',
    'attn.proj',
    'attn.proj | attn.out_proj',
  ),
  row('ls1.gamma', 'layer_scale1.lambda1', '=', 'ls1.gamma | gamma_1', 'ls1.gamma'),
  row('ls2.gamma', 'layer_scale2.lambda1', '=', 'ls2.gamma | gamma_2', 'ls2.gamma'),
  row(
    'mlp.up',
    'mlp.fc1 | intermediate.dense',
    'mlp.fc1 | mlp.up_proj',
    'mlp.fc1 | mlp.fc1_x',
    'mlp.fc1 | mlp.c_fc | mlp.w2',
  ),
  row('mlp.gate', '', 'mlp.gate_proj', 'mlp.fc1_g', 'mlp.w1'),
  row('mlp.both', 'mlp.weights_in', '', '', 'mlp.w12'),
  row(
    'mlp.down',
    'mlp.fc2 | mlp.weights_out | output.dense',
    'mlp.fc2 | mlp.down_proj',
    'mlp.fc2',
    'mlp.fc2 | mlp.c_proj | mlp.w3',
  ),
];

/** `=` in the second column: as in the first. */
function row(name: string, transformers: string, memory: string, timm: string, authors: string): Row {
  return [name, transformers, memory === '=' ? transformers : memory, timm, authors];
}

interface Rule {
  column: number;
  pattern: RegExp;
  name: string;
}

const alternatives = (cell: string): string[] => cell.split('|').flatMap(word => word.trim() || []);

const rulesOf = ([name, ...columns]: Row): Rule[] =>
  columns.flatMap((cell, column) =>
    alternatives(cell).map(alias => ({
      column,
      name,
      pattern: new RegExp(`^${aliasPattern(alias)}(\\.weight|\\.bias)?$`),
    })),
  );

const aliasPattern = (alias: string): string =>
  alias.replaceAll('.', '\\.').replace(/\bM\b/, '\\d+').replace(/\bN\b/, '(?<n>\\d+)');

/** Rows of the tensors within a block, under each of the names that the block has in their column. */
const blockRows: Row[] = WITHIN.map(([inner, ...columns]) => [
  `${BLOCK[0]}.${inner}`,
  ...columns.map((cell, column) =>
    alternatives(BLOCK[column + 1])
      .flatMap(block => alternatives(cell).map(alias => `${block}.${alias}`))
      .join(' | '),
  ),
]) as unknown as Row[];

const RULES: readonly Rule[] = [...WHOLE, ...blockRows].flatMap(rulesOf);

/** A tensor's name here, and the columns of the table that have the name it was found under. */
export interface Reading {
  name: string;
  spellings: Set<SpellingName>;
}

/** What a name in a file means, or undefined where the table does not have it. */
export function readName(key: string): Reading | undefined {
  const matches = RULES.flatMap(({ pattern, name, column }) => {
    const found = pattern.exec(key);
    if (!found) return [];
    const end = found[found.length - 1] ?? '';
    return [{ name: name.replace('N', found.groups?.n ?? '') + end, spelling: SPELLINGS[column] }];
  });
  if (matches.length === 0) return undefined;
  return { name: matches[0].name, spellings: new Set(matches.map(({ spelling }) => spelling)) };
}

/** Ends of the names by which a network's beginning, the projection of patches, is found under any prefix. */
export const PATCH_EMBEDDINGS = alternatives(
  WHOLE.find(([name]) => name === 'patch_embed.proj')!
    .slice(1)
    .join(' | '),
).map(alias => `${alias}.weight`);
