/** Class names → one label per row; the classes are numbered in the order of their names, as folders of images are. */
export function labelsByName(names: string[]): { labels: Int32Array; classes: string[] } {
  const classes = [...new Set(names)].sort();
  const index = new Map(classes.map((name, i) => [name, i]));
  return { labels: Int32Array.from(names, name => index.get(name)!), classes };
}
