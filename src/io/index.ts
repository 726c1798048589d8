export {
  asFloat32,
  asFloat64,
  asInt32,
  bytesPer,
  elementCount,
  isFloat8,
  widened,
  type DType,
  type NdArray,
  type TypedArray,
} from './array.js';
export { refuseExisting, writeAtomic, writeFileAtomic, type AtomicOptions } from './atomic.js';
export { memoryBytes, openBytes, partOf, type ByteSource } from './bytes.js';
export { classesFrom, labelsByName, namedClasses, presentClasses, type Classes } from './classes.js';
export { combinedDigest, sha256Of, sha256OfFile, sha256OfText } from './digest.js';
export { makeFolder } from './folder.js';
export { holdFolder, LOCK } from './hold.js';
export { type ArrayFile, type ArrayInfo, type LazyArray } from './lazy.js';
export { openNpy, readNpy, writeNpy, type NpyFile } from './npy.js';
export type { NamelessDType, NpyOptions } from './npy-header.js';
export type { TextArray } from './npy-text.js';
export { openNpz, readNpz, writeNpz, type ArrayStream, type NpzFile } from './npz.js';
export {
  openSafetensors,
  readSafetensors,
  safetensorsFrom,
  writeSafetensors,
  type SafetensorsFile,
  type SafetensorsOptions,
} from './safetensors.js';
export { openPt, type PtFile } from './pt.js';
export { openZip, type ZipArchive } from './zip.js';
export { openWeights, readWeights } from './weights.js';
export type { WeightsChoice } from './weights-container.js';
export {
  checkpointName,
  checkpointSteps,
  isRun,
  newestCheckpoint,
  newestWhole,
  readJsonRecord,
  readCheckpointState,
  readRun,
  readRunConfig,
  RUN,
  STATE,
  verifiedDigest,
  type Run,
} from './run-folder.js';
export { decodeImage, imageSize, isImageName, PILLOW, type Decoding } from './decode.js';
export {
  encodePng,
  imageGrid,
  stackedImages,
  toBytes,
  writeImageGrid,
  writePng,
  type GridOptions,
  type ImageStack,
  type RawImage,
} from './images.js';
export { isWholePng } from './png.js';
export { openTar, type TarFile, type TarMember } from './tar.js';
export { hubWeights, parseHubSpec, type HubOptions, type HubSpec } from './hub.js';
