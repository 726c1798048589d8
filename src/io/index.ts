export {
  asFloat32,
  asFloat64,
  elementCount,
  isFloat8,
  widened,
  type DType,
  type NdArray,
  type TypedArray,
} from './array.js';
export { openArrow } from './arrow.js';
export { refuseExisting, writeFileAtomic } from './atomic.js';
export { memoryBytes, openBytes, type ByteSource } from './bytes.js';
export { classesFrom, labelsByName, namedClasses, presentClasses, type Classes } from './classes.js';
export { combinedDigest, sha256Of, sha256OfFile, sha256OfText } from './digest.js';
export { checked, readJson, readYaml } from './documents.js';
export { makeFolder } from './folder.js';
export { openHdf5 } from './hdf5.js';
export { HF_KEY, hfFeatures, type HfFeature } from './hf-features.js';
export { holdFolder, LOCK } from './hold.js';
export type { ArrayFile, ArrayInfo, LazyArray } from './lazy.js';
export { PickledBytes, readPickledDict } from './numpy-pickle.js';
export { openNpy, readNpy, writeNpy, type NpyFile } from './npy.js';
export type { NpyOptions } from './npy-header.js';
export { readNpyValues, type TextArray } from './npy-text.js';
export { openNpz, readNpz, writeNpz, type NpzFile } from './npz.js';
export { openParquet } from './parquet.js';
export { openPt, type PtFile } from './pt.js';
export { TensorValue } from './pt-names.js';
export { openSafetensors, readSafetensors, writeSafetensors, type SafetensorsFile } from './safetensors.js';
export { openZip } from './zip.js';
export { openWeightArrays, openWeights, readWeights, withWeightArrays, type WeightArrays } from './weights.js';
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
  STATE,
  verifiedDigest,
} from './run-folder.js';
export { RUN } from './names.js';
export { decodeImage, imageMode, imageSize, isImageName, PILLOW } from './decode.js';
export { listed } from './listed.js';
export type { FloatDType, NamelessDType, PosteriorName, WeightsName } from './names.js';
export type { Decoding } from './options.js';
export {
  encodePng,
  encodeWebp,
  imageGrid,
  imagesOfGrid,
  stackedImages,
  toBytes,
  writeImageGrid,
  writePng,
  type RawImage,
} from './images.js';
export { isWholePng } from './png.js';
export type { ColumnKind, FileCell, TableFile } from './table.js';
export { openTar, type TarFile, type TarMember } from './tar.js';
export { hubWeights } from './hub.js';
