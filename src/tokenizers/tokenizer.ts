import type { Tensor3D, Tensor4D } from '../engine/index.js';
import type { Log } from '../base/index.js';
import type { NdArray } from '../io/index.js';
import type { PosteriorName, WeightsName } from '../io/names.js';
import type { ModelPreset } from '../nn/index.js';
import type { Normalisation } from './normalisation.js';

/**
 * Images to latents and back, whatever the family. Images are [n, h, w, 3] in [−1, 1]; latents are [n, tokens,
 * channels] as the system hands them to a diffusion model, its own shift and scale applied; a 2-D latent is flattened
 * row by row and remembers its grid.
 */
export interface Tokenizer {
  readonly name: string;
  readonly family: string;
  /** Side of the images that it was made for. */
  readonly imageSize: number;
  /** A convolutional tokenizer takes any side that is a multiple of this; absent: `imageSize` only. */
  readonly sizeMultiple?: number;
  /** [tokens, channels] of one image of `imageSize`. */
  readonly latentShape: readonly [tokens: number, channels: number];
  /** [rows, columns] of the tokens where they lie on a grid. */
  readonly grid?: readonly [rows: number, columns: number];
  /** Parameters in all networks of it; unknown of a network that other software runs. */
  readonly parameters: number | undefined;
  /** sha256 of the weights, for protocol cards. */
  readonly digest: string;
  /**
   * What its own pipeline extracts, the mode or a sample of the posterior; `none`: latents are deterministic; `sampled
   * inside`: by an encoder whose random numbers nobody can choose.
   */
  readonly posterior: PosteriorName | 'none' | 'sampled inside';
  /** What is done to the network's own z before latents are handed on. */
  readonly normalisation: Normalisation;
  /** What a protocol card says about its input. */
  readonly pixels: string;
  /** images → latents, which the caller owns: the mode, or a sample made of `noise` where it is given. */
  encode(images: Tensor4D, options?: EncodeOptions): Promise<Tensor3D>;
  /** latents → images, not clamped, which the caller owns. @throws UserError where it has no decoder. */
  decode(latents: Tensor3D): Promise<Tensor4D>;
  /** Frees its weights. */
  dispose(): void;
}

export interface EncodeOptions {
  /** Standard normal numbers, shaped like the latents: sample the posterior with them instead of taking its mode. */
  noise?: Tensor3D | undefined;
}

/** What a user chose about opening a tokenizer; everything else is read from its files. */
export interface OpenOptions {
  /** Side of the images, for families that take several. */
  imageSize?: number | undefined;
  /** Go on where keys are missing or unexpected. */
  allowMissing?: boolean | undefined;
  /** JSON or YAML file that says what config.json beside the weights would. */
  config?: string | undefined;
  /** File or latents folder whose statistics normalise the latents; default: what the weights and their config say. */
  statistics?: string | undefined;
  /** Weights of a run folder; default `ema` where the run kept one. */
  weights?: WeightsName | undefined;
  /** Take repositories of the hub from the cache only; default: as `HF_HUB_OFFLINE` says. */
  offline?: boolean | undefined;
  /** It will do nothing else, so that large families can leave the other half of their weights in the file. */
  only?: 'encode' | 'decode' | undefined;
  log?: Log | undefined;
}

/** What a family is told besides: whose tensors, by their published keys, stay in the file. */
export interface FamilyOptions extends OpenOptions {
  leaves?: ((key: string) => boolean) | undefined;
}

/** Weights with what is known about them. */
export interface TokenizerSource {
  /** Name in messages: the path or id. */
  name: string;
  /** Weights under their published keys; numbers may be read from the file whenever they are looked at. */
  weights: Record<string, NdArray>;
  /** config.json beside the weights, or a run's config.yaml; empty where there is none. */
  config: Record<string, unknown>;
  /** Where encoder and decoder were two files. */
  halves?: Halves | undefined;
  digest: string;
}

/** What is known of an encoder and a decoder in files of their own. */
export interface Halves {
  /** The name before the files (`raev2-dinov3l-k7:ENCODER,DECODER`). */
  system: string | undefined;
  /** The decoder's file or folder. */
  decoder: string;
  /** The config.json beside each; empty where there is none. */
  encoderConfig: Record<string, unknown>;
  decoderConfig: Record<string, unknown>;
}

/** A family of tokenizers: one folder, one line in the registry. */
export interface TokenizerFamily {
  name: string;
  /** Whether these weights are of this family, told from config and keys. */
  recognises: (source: TokenizerSource) => boolean;
  /**
   * A tokenizer whose encode and decode speak the network's own z, with the normalisation that is to be put around them.
   * @throws UserError where config and weights disagree, naming the tensor and both shapes.
   */
  open: (source: TokenizerSource, options: FamilyOptions) => Tokenizer | Promise<Tokenizer>;
  /** Whether tensors under `encoder.` and `quant_conv.` are for encoding alone, and those under `decoder.` and `post_quant_conv.` for decoding. */
  splits?: true;
  presets: ModelPreset[];
}
