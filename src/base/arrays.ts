type Numbers = Float32Array | Float64Array | Int32Array | Uint8Array;

/** Arrays one behind the other, in memory of their own of the kind that is named. */
export function concatenated<A extends Numbers>(
  Kind: new (length: number) => A,
  parts: readonly ArrayLike<number>[],
): A {
  const all = new Kind(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

/** Overwrites arrays by what stands one behind the other in another: the inverse of `concatenated`. */
export function dealt(all: Numbers, parts: readonly Numbers[]): void {
  let at = 0;
  for (const part of parts) part.set(all.subarray(at, (at += part.length)));
}
