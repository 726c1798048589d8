/** Largest difference relative to the largest of theirs. */
export function apart(ours: ArrayLike<number>, theirs: ArrayLike<number>): number {
  let [largest, difference] = [0, 0];
  for (let i = 0; i < theirs.length; i++) {
    largest = Math.max(largest, Math.abs(theirs[i]));
    const own = Math.abs(theirs[i] - ours[i]);
    difference = own <= difference ? difference : own; // NaN is kept
  }
  return ours.length === theirs.length ? difference / largest : NaN;
}
