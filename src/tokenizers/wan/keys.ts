import type { HostArray } from '../../nn/index.js';

/*
 * Wan's and Qwen-Image's autoencoder in two spellings: diffusers' is ours; the authors' (`Wan2.1_VAE.pth`, and the single
 * files made from it) is converted to it once, on load.
 */

export type Spelling = 'diffusers' | 'wan';

/** Whose names a state dict of this network uses, or undefined where it is another network's. */
export function spellingOf(keys: string[]): Spelling | undefined {
  if (keys.includes('encoder.norm_out.gamma')) return 'diffusers';
  return keys.includes('encoder.head.0.gamma') ? 'wan' : undefined;
}

/** The authors' state dict under diffusers' names; arrays are shared. */
export function toDiffusersKeys<T>(weights: Record<string, T>): Record<string, T> {
  const names = Object.keys(weights);
  const places = decoderPlaces(names);
  return Object.fromEntries(names.map(name => [rename(name, places), weights[name]]));
}

/** Blocks of a flat list `decoder.upsamples.N` → diffusers' level and place in it: a resampling block ends a level. */
function decoderPlaces(names: string[]): Map<number, string> {
  const numbers = names.map(name => Number(/^decoder\.upsamples\.(\d+)\.(?!upsamples)/.exec(name)?.[1] ?? -1));
  const places = new Map<number, string>();
  let [level, resnet] = [0, 0];
  for (let n = 0; n <= Math.max(...numbers); n++) {
    if (!names.includes(`decoder.upsamples.${n}.resample.1.weight`)) {
      places.set(n, `decoder.up_blocks.${level}.resnets.${resnet++}`);
      continue;
    }
    places.set(n, `decoder.up_blocks.${level++}.upsamplers.0`);
    resnet = 0;
  }
  return places;
}

function rename(name: string, places: Map<number, string>): string {
  return (
    name
      .replace(/^conv1\./, 'quant_conv.')
      .replace(/^conv2\./, 'post_quant_conv.')
      .replace(/^(encoder|decoder)\.conv1\./, '$1.conv_in.')
      .replace(/^(encoder|decoder)\.head\.0\./, '$1.norm_out.')
      .replace(/^(encoder|decoder)\.head\.2\./, '$1.conv_out.')
      .replace(/\.middle\.([02])\./, (_, place: string) => `.mid_block.resnets.${Number(place) / 2}.`)
      .replace('.middle.1.', '.mid_block.attentions.0.')
      // Wan 2.2: a level is a module of its own.
      .replace(/\.(down|up)samples\.(\d+)\.\1samples\.\d+\.(resample|time_conv)\./, '.$1_blocks.$2.$1sampler.$3.')
      .replace(/\.(down|up)samples\.(\d+)\.\1samples\.(\d+)\./, '.$1_blocks.$2.resnets.$3.')
      // Wan 2.1: all blocks in one list.
      .replace(/^encoder\.downsamples\.(\d+)\./, 'encoder.down_blocks.$1.')
      .replace(/^decoder\.upsamples\.(\d+)\./, (_, place: string) => `${places.get(Number(place))}.`)
      .replace('.residual.0.', '.norm1.')
      .replace('.residual.2.', '.conv1.')
      .replace('.residual.3.', '.norm2.')
      .replace('.residual.6.', '.conv2.')
      .replace('.shortcut.', '.conv_shortcut.')
  );
}

/**
 * What one picture needs of a checked tensor: the last temporal slice of a kernel [out, in, t, h, w], a norm's weights as
 * a vector, and nothing of the convolutions along time.
 */
export function forOnePicture(array: HostArray, key: string): HostArray | undefined {
  const { shape, data } = array;
  if (key.includes('.time_conv.')) return undefined;
  if (key.endsWith('.gamma')) return { shape: [shape[0]], data };
  return shape.length === 5 ? lastSlice(shape as [number, number, number, number, number], data) : array;
}

function lastSlice(
  [out, inputs, time, height, width]: [number, number, number, number, number],
  data: HostArray['data'],
): HostArray {
  const area = height * width;
  const slice = new Float32Array(out * inputs * area);
  for (let filter = 0; filter < out * inputs; filter++) {
    const from = (filter * time + time - 1) * area;
    for (let i = 0; i < area; i++) slice[filter * area + i] = Number(data[from + i]);
  }
  return { shape: [out, inputs, height, width], data: slice };
}
