import { isRecord } from '../base/index.js';

/** What Hugging Face's `datasets` says of a table's columns. */
export interface HfFeature {
  /** `Image`, `ClassLabel`, `Value`, `Array3D`, … */
  type: string;
  /** Names of a ClassLabel. */
  names?: string[] | undefined;
}

/** The key under which its description stands in a Parquet or Arrow file's metadata. */
export const HF_KEY = 'huggingface';

/**
 * The columns described in that text, `{"info": {"features": {…}}}`; what cannot be read as one describes nothing.
 */
export function hfFeatures(text: string | undefined): Map<string, HfFeature> {
  if (text === undefined) return new Map();
  try {
    const parsed: unknown = JSON.parse(text);
    const info = isRecord(parsed) && isRecord(parsed.info) ? parsed.info : parsed;
    return featuresIn(info);
  } catch {
    return new Map();
  }
}

/** The columns that a parsed `dataset_info.json`, or the same within a file, describes. */
function featuresIn(info: unknown): Map<string, HfFeature> {
  if (!isRecord(info) || !isRecord(info.features)) return new Map();
  return new Map(
    Object.entries(info.features).flatMap(([name, feature]) => {
      if (!isRecord(feature) || typeof feature._type !== 'string') return [];
      const { names } = feature;
      const isNamed = Array.isArray(names) && names.every(word => typeof word === 'string');
      return [[name, { type: feature._type, names: isNamed ? names : undefined }] as const];
    }),
  );
}
