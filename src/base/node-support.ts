/** The lines of Node that maetok is tested on; of the first two, those versions that its dependencies accept. */
const LINES: readonly (readonly [major: number, minor: number])[] = [
  [20, 19],
  [22, 12],
  [24, 0],
  [26, 0],
];

const NAMES = LINES.map(([major, minor]) => (minor > 0 ? `${major} (from ${major}.${minor})` : String(major)));
const SUPPORTED = `${NAMES.slice(0, -1).join(', ')} and ${NAMES.at(-1)}`;

/** One sentence for `doctor`: whether a version of Node is supported, and which ones are. */
export function nodeSupport(version = process.version): string {
  const [major, minor] = version.replace(/^v/, '').split('.').map(Number);
  if (LINES.some(([line, least]) => line === major && minor >= least))
    return `Node ${version} is supported; maetok is tested on Node ${SUPPORTED}`;
  if (major > LINES.at(-1)![0])
    return `Node ${version} is newer than those that maetok is tested on, which are Node ${SUPPORTED}`;
  return `Node ${version} is not supported: maetok is tested on Node ${SUPPORTED}`;
}
