import { UserError } from '../base/index.js';
import { openBytes } from './bytes.js';
import { beginsSafetensors } from './safetensors-header.js';
import { openZip } from './zip.js';

export type WeightsFormat = 'pt' | 'npz' | 'safetensors';

/** Signatures of other file formats. */
const OTHERS: [start: string, at: number, what: string][] = [
  ['\x93NUMPY', 0, 'one NumPy array; weights have names: save a dict with numpy.savez or safetensors'],
  ['\x89HDF\r\n', 0, 'an HDF5 file; save its weights as safetensors'],
  ['GGUF', 0, 'a GGUF file; take the weights that it was made from'],
  ['ustar', 257, 'a tar archive, as PyTorch wrote before 0.2; load it there and save it again'],
];

/**
 * The format that a file's content guarantees: safetensors by its length and brace, npz and PyTorch's zip by their
 * members, PyTorch's older form by its pickle. What is none of them is left to the reader of safetensors, which says why.
 */
export async function weightsFormat(path: string): Promise<WeightsFormat> {
  const source = await openBytes(path);
  const start = await source.read(0, Math.min(512, source.size));
  await source.close();
  if (beginsSafetensors(start)) return 'safetensors';
  const text = Buffer.from(start).toString('latin1');
  if (text.startsWith('PK')) return await zipFormat(path);
  if (start[0] === 0x80 && start[1] <= 5) return 'pt';
  const other = OTHERS.find(([begins, at]) => text.startsWith(begins, at));
  if (other) throw new UserError(`${path}: is ${other[2]}`);
  return 'safetensors';
}

async function zipFormat(path: string): Promise<WeightsFormat> {
  const zip = await openZip(path);
  await zip.close();
  return [...zip.members.keys()].some(name => name.endsWith('data.pkl')) ? 'pt' : 'npz';
}
