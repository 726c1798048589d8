import type { NdArray } from '../../io/index.js';

/** Whether the keys are the original files' rather than diffusers'. */
export const isOriginalSpelling = (keys: string[]): boolean => keys.some(key => key.startsWith('encoder.project_in.'));

/** A DC-AE state dict in the original (efficientvit) spelling under diffusers' names, which are ours. */
export function toDiffusersKeys(weights: Record<string, NdArray>): Record<string, NdArray> {
  return Object.fromEntries(
    Object.entries(weights).flatMap(([name, array]): [string, NdArray][] => {
      const renamed = rename(name);
      // 1×1 convolutions there, linear layers here.
      if (renamed.endsWith('.attn.to_out.weight')) return [[renamed, { ...array, shape: array.shape.slice(0, 2) }]];
      if (!renamed.endsWith('.attn.qkv.weight')) return [[renamed, array]];
      return split(array).map((part, i) => [renamed.replace('.qkv.', `.${PARTS[i]}.`), part]);
    }),
  );
}

const PARTS = ['to_q', 'to_k', 'to_v'];

/** One fused 1×1 convolution [3c, c, 1, 1] in the original files, three linear layers [c, c] in diffusers'. */
function split({ shape, dtype, data }: NdArray): NdArray[] {
  const [outputs, inputs] = shape;
  const size = data.length / 3;
  return PARTS.map((_, i) => ({
    shape: [outputs / 3, inputs],
    dtype,
    data: data.subarray(i * size, (i + 1) * size),
  }));
}

function rename(name: string): string {
  return name
    .replace(/^encoder\.project_in\.conv\.conv\./, 'encoder.conv_in.conv.')
    .replace(/^encoder\.project_in\.conv\./, 'encoder.conv_in.')
    .replace(/^encoder\.project_out\.main\.op_list\.0\.conv\./, 'encoder.conv_out.')
    .replace(/^decoder\.project_in\.main\.conv\./, 'decoder.conv_in.')
    .replace(/^decoder\.project_out\.op_list\.0\./, 'decoder.norm_out.')
    .replace(/^decoder\.project_out\.op_list\.2\.conv\.conv\./, 'decoder.conv_out.conv.')
    .replace(/^decoder\.project_out\.op_list\.2\.conv\./, 'decoder.conv_out.')
    .replace(/^encoder\.stages\.(\d+)\.op_list\./, 'encoder.down_blocks.$1.')
    .replace(/^decoder\.stages\.(\d+)\.op_list\./, 'decoder.up_blocks.$1.')
    .replace('.context_module.main.qkv.conv.', '.attn.qkv.')
    .replace(/\.context_module\.main\.aggreg\.(\d+)\.0\./, '.attn.to_qkv_multiscale.$1.proj_in.')
    .replace(/\.context_module\.main\.aggreg\.(\d+)\.1\./, '.attn.to_qkv_multiscale.$1.proj_out.')
    .replace('.context_module.main.proj.conv.', '.attn.to_out.')
    .replace('.context_module.main.proj.norm.', '.attn.norm_out.')
    .replace('.local_module.main.inverted_conv.conv.', '.conv_out.conv_inverted.')
    .replace('.local_module.main.depth_conv.conv.', '.conv_out.conv_depth.')
    .replace('.local_module.main.point_conv.conv.', '.conv_out.conv_point.')
    .replace('.local_module.main.point_conv.norm.', '.conv_out.norm.')
    .replace('.main.conv1.conv.', '.conv1.')
    .replace('.main.conv2.conv.', '.conv2.')
    .replace('.main.conv2.norm.', '.norm.')
    .replace(/\.main\.conv(?:\.conv)?\./, '.conv.');
}
