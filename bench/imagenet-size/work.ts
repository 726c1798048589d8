/** Sizes that decide how much work a phase is. */
export interface Sizes {
  trainRows: number;
  heldoutRows: number;
  width: number;
  dims: number;
}

/**
 * Floating-point operations of a phase as a textbook has it, nothing left out that is negligible: of symmetric matrices
 * one half, of EM's E-step a triangular product and of its M-step an outer product for each row and component.
 */
export function operationsOf(
  { name, components = 0, iterations = 0 }: { name: string; components?: number; iterations?: number },
  { trainRows, heldoutRows, width, dims }: Sizes,
): number | undefined {
  if (name === 'PCA') return trainRows * width * (width + 1);
  if (name === 'project') return 2 * (trainRows + heldoutRows) * width * dims;
  if (name === 'EM' && iterations > 0) return iterations * trainRows * components * 2 * dims * (dims + 1);
  if (name === 'score') return heldoutRows * components * dims * (dims + 1);
  return undefined;
}

/** float32 operations per second of an H200 SXM outside its tensor cores: NVIDIA's data sheet. */
export const H200 = 67e12;
