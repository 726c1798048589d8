import { existsSync } from 'node:fs';
import { readNumber, UserError } from '../base/index.js';
import { EFFICIENTNET_SIZE, openEfficientNet } from './efficientnet-lite0.js';
import type { FeatureExtractor } from './extractor.js';
import { openInception } from './inception-extractor.js';
import { openOnnxFeatures } from './onnx.js';
import type { OpenVisionOptions } from '../vision/index.js';
import { openVitFeatures } from './vit.js';
import { hogFeatures, pixelFeatures } from './plain.js';

/** How to name an extractor, and what it is. */
const FEATURE_SPECS: readonly [spec: string, meaning: string][] = [
  [
    'inception:WEIGHTS',
    'the network of FID: torch-fidelity’s or pytorch-fid’s .pth, safetensors, ADM’s graph as .onnx',
  ],
  ['effnet-lite0:WEIGHTS[?size=224]', 'EfficientNet-Lite0, a small network trained on ImageNet'],
  [
    'vit:WEIGHTS[?size=224&layer=9&tokens=class|mean|pooled|embedding]',
    'DINOv2 (FD-DINOv2), DINOv3, SigLIP, MAE, CLIP; weights as transformers, timm or the authors spell them, or hf:…',
  ],
  ['onnx:FILE.onnx', 'any other encoder, described by FILE.yaml next to it'],
  ['hog', 'histograms of gradient directions, no weights'],
  ['pixels', 'mean colours on an 8 × 8 grid, no weights'],
];

/** What to say where no features were named. */
export const NO_FEATURES =
  'comparing sets of images needs --features: inception:WEIGHTS gives FID (download ' +
  'weights-inception-2015-12-05-6726825d.pth of torch-fidelity or pt_inception-2015-12-05-6726825d.pth of pytorch-fid); ' +
  'vit:WEIGHTS (DINOv2, …), effnet-lite0:WEIGHTS, onnx:FILE, hog and pixels give other distances, not comparable with FID';

/** Opens an extractor by what FEATURE_SPECS lists. The engine has been started. */
export async function openExtractor(spec: string, options: OpenVisionOptions = {}): Promise<FeatureExtractor> {
  if (spec === 'hog') return hogFeatures;
  if (spec === 'pixels') return pixelFeatures;
  if (spec.startsWith('vit:')) return await openVitFeatures(spec.slice('vit:'.length), options);
  const found = /^(inception|effnet-lite0|onnx):(.+)$/.exec(spec);
  if (!found) {
    const forms = FEATURE_SPECS.map(([form]) => form).join(', ');
    throw new UserError(`--features ${spec}: is unknown; known are ${forms}`);
  }
  const [, kind, rest] = found;
  const [path, query = ''] = rest.split('?', 2);
  if (!existsSync(path)) throw new UserError(`--features ${spec}: ${path}: no such file`);
  if (kind === 'effnet-lite0') return await openEfficientNet(path, sizeOf(spec, query));
  if (query !== '') throw new UserError(`--features ${spec}: only effnet-lite0 takes settings after '?'`);
  if (kind === 'onnx' && !path.endsWith('.onnx'))
    throw new UserError(`--features ${spec}: must name a network in a file that ends in .onnx`);
  if (kind === 'onnx') return await openOnnxFeatures(path);
  return path.endsWith('.onnx') ? await openOnnxFeatures(path, { isInception: true }) : await openInception(path);
}

function sizeOf(spec: string, query: string): number {
  const settings = new URLSearchParams(query);
  const size = readNumber(settings.get('size') ?? String(EFFICIENTNET_SIZE));
  const unknown = [...settings.keys()].find(name => name !== 'size');
  if (unknown !== undefined || size === undefined || !Number.isInteger(size) || size < 32 || size > 1024)
    throw new UserError(`--features ${spec}: size is a whole number from 32 to 1024, and nothing else can be set`);
  return size;
}
