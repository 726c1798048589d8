import { networkSchema, type NetworkConfig } from '../../diffusion/config.js';

/** What the cases of DiT and its descendants say of their networks, under the authors' names. */
export interface DitSettings {
  input_size: number;
  in_channels: number;
  patch_size: number;
  hidden_size: number;
  depth: number;
  num_heads: number;
  num_classes: number;
}

/** Such a network, with what only one of the descendants has: plain DiT's norms, MLP and positions unless it says so. */
export function ditNetwork(settings: DitSettings, own: Partial<NetworkConfig>): NetworkConfig {
  return networkSchema.parse({
    tokens: settings.input_size ** 2,
    grid: [settings.input_size, settings.input_size],
    channels: settings.in_channels,
    patch: settings.patch_size,
    width: settings.hidden_size,
    depth: settings.depth,
    heads: settings.num_heads,
    mlpRatio: 4,
    classes: settings.num_classes,
    learnSigma: false,
    norm: 'layer',
    mlp: 'gelu',
    rope: false,
    qkNorm: false,
    shift: true,
    beta: false,
    ...own,
  });
}
