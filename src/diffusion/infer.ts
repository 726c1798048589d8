import { UserError } from '../base/index.js';
import { MODELS, networkSchema, type NetworkConfig } from './config.js';
import type { ConventionName } from './names.js';

type ShapeTable = Record<string, { shape: number[] } | undefined>;

export interface InferenceHints {
  /** Attention heads, which no shape tells where queries are not normalised or rotated. */
  heads?: number | undefined;
  /** Whose checkpoint it is; default: told from the keys. */
  convention?: ConventionName | undefined;
}

/**
 * The architecture of published weights, read off their keys and shapes.
 * @throws UserError where they are of no diffusion transformer, or where heads or grid cannot be told.
 */
export function inferNetwork(name: string, tensors: ShapeTable, hints: InferenceHints = {}): NetworkConfig {
  const shape = (key: string): number[] => {
    const found = tensors[key];
    if (!found)
      throw new UserError(
        `${name}: holds no tensor '${key}'; expected a run folder or weights of SiT, DiT, LightningDiT or RAE’s DiT`,
      );
    return found.shape;
  };
  const [, sequence, width] = shape('pos_embed');
  const onGrid = tensors['x_embedder.proj.weight'];
  const [, channels, patch] = onGrid ? onGrid.shape : [...shape('x_embedder.weight'), 1];
  const head = headOf(name, tensors, width);
  const outputs = shape('final_layer.linear.bias')[0];
  const projectors = projectorsOf(tensors);
  return networkSchema.parse({
    tokens: sequence * patch ** 2,
    channels,
    grid: onGrid && squareGrid(name, sequence, patch),
    patch,
    width,
    depth: countUnder(tensors, 'blocks') - (head?.depth ?? 0),
    heads: hints.heads ?? headsOf(name, tensors, width),
    head,
    timeFeatures: tensors['t_embedder.W'] && 'drawn',
    mlpRatio: 4,
    classes: shape('y_embedder.embedding_table.weight')[0] - 1,
    learnSigma: outputs === 2 * channels * patch ** 2,
    norm: tensors['blocks.0.norm1.weight'] ? 'rms' : 'layer',
    mlp: tensors['blocks.0.mlp.w12.weight'] ? 'swiglu' : 'gelu',
    rope: tensors['feat_rope.freqs_cos'] !== undefined,
    qkNorm: tensors['blocks.0.attn.q_norm.weight'] !== undefined,
    shift: shape('blocks.0.adaLN_modulation.1.bias')[0] === 6 * width,
    projectors,
    beta: betaOf(tensors),
  });
}

/** Whose code wrote the weights, as far as keys tell. Plain DiT and SiT on grids look alike: taken for SiT. */
export function inferConvention(config: NetworkConfig): ConventionName {
  if (config.beta) return 'gft';
  if (config.projectors) return 'repa';
  if (config.head || config.timeFeatures === 'drawn') return 'rae';
  if (config.rope || config.norm === 'rms' || config.mlp === 'swiglu') return 'lightningdit';
  return config.grid ? 'sit' : 'maetok';
}

function squareGrid(name: string, sequence: number, patch: number): [number, number] {
  const side = Math.sqrt(sequence);
  if (!Number.isInteger(side)) throw new UserError(`${name}: its ${sequence} tokens do not form a square grid`);
  return [side * patch, side * patch];
}

/** Blocks of DDT's head in the published weights, which do not tell where it is as wide as the blocks before it. */
const USUAL_HEAD_DEPTH = 2;

function headOf(name: string, tensors: ShapeTable, width: number): NetworkConfig['head'] {
  if (!tensors['s_embedder.proj.weight'] && !tensors['s_embedder.weight']) return undefined;
  const own = (tensors['x_embedder.proj.bias'] ?? tensors['x_embedder.bias'])!.shape[0];
  const wide = Array.from({ length: countUnder(tensors, 'blocks') }, (_, i) => tensors[`blocks.${i}.attn.proj.bias`]);
  const depth = own === width ? USUAL_HEAD_DEPTH : wide.filter(bias => bias?.shape[0] === own).length;
  const perHead = tensors['dec_feat_rope.freqs_cos']?.shape[1];
  if (perHead === undefined)
    throw new UserError(`${name}: the heads of its DDT head cannot be inferred, because it stores no rotary positions`);
  return { width: own, depth, heads: own / perHead };
}

function headsOf(name: string, tensors: ShapeTable, width: number): number {
  const rotary = tensors['feat_rope.freqs_cos'] ?? tensors['enc_feat_rope.freqs_cos'];
  const perHead = tensors['blocks.0.attn.q_norm.weight']?.shape[0] ?? rotary?.shape[1];
  if (perHead !== undefined) return width / perHead;
  const known = Object.values(MODELS).find(model => model.width === width);
  if (!known)
    throw new UserError(`${name}: the number of heads cannot be inferred from its width of ${width}; give --heads`);
  return known.heads;
}

function countUnder(tensors: ShapeTable, prefix: string): number {
  const numbers = Object.keys(tensors).flatMap(key => {
    const [first, second] = key.split('.');
    return first === prefix ? [Number(second)] : [];
  });
  return 1 + Math.max(-1, ...numbers);
}

function betaOf(tensors: ShapeTable): NetworkConfig['beta'] {
  if (tensors['t_embedder.cond_proj.weight']) return 'linear';
  if (tensors['beta_embedder.mlp.4.weight']) return '3_layer_mlp';
  return tensors['beta_embedder.mlp.2.weight'] ? 'mlp' : false;
}

/** The depth at which projectors are attached is in no tensor; REPA's is 8, and nothing but alignment reads it. */
function projectorsOf(tensors: ShapeTable): NetworkConfig['projectors'] {
  const count = countUnder(tensors, 'projectors');
  if (count === 0) return undefined;
  const kind = tensors['projectors.0.projection_layer.weight']?.shape.length === 4 ? 'conv' : 'mlp';
  const last = kind === 'conv' ? 'projection_layer' : '4';
  const features = Array.from({ length: count }, (_, k) => tensors[`projectors.${k}.${last}.bias`]!.shape[0]);
  // A convolution has no hidden layer.
  const width = kind === 'conv' ? features[0] : tensors['projectors.0.0.bias']!.shape[0];
  return { after: 8, kind, width, features };
}
