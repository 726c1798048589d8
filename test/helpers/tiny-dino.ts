import { RandomStream, tf } from '../../src/engine/index.js';
import type { Params } from '../../src/nn/index.js';

/** A DINO ViT of one block. */
export function tinyDino(): Params {
  const random = new RandomStream(3);
  const shapes: Record<string, number[]> = {
    cls_token: [1, 1, 16],
    pos_embed: [1, 197, 16],
    'patch_embed.proj.weight': [16, 3, 16, 16],
    'patch_embed.proj.bias': [16],
    'blocks.0.norm1.weight': [16],
    'blocks.0.norm1.bias': [16],
    'blocks.0.attn.qkv.weight': [48, 16],
    'blocks.0.attn.qkv.bias': [48],
    'blocks.0.attn.proj.weight': [16, 16],
    'blocks.0.attn.proj.bias': [16],
    'blocks.0.norm2.weight': [16],
    'blocks.0.norm2.bias': [16],
    'blocks.0.mlp.fc1.weight': [64, 16],
    'blocks.0.mlp.fc1.bias': [64],
    'blocks.0.mlp.fc2.weight': [16, 64],
    'blocks.0.mlp.fc2.bias': [16],
  };
  return tf.tidy(() =>
    Object.fromEntries(
      Object.entries(shapes).map(([key, shape]) => [key, tf.keep(random.for(key).normalTensor(shape).mul(0.1))]),
    ),
  );
}
