import { createRequire } from 'node:module';
import type { default as Library, Sharp, SharpInput, SharpOptions } from 'sharp';

let library: typeof Library | undefined;

/** sharp, loaded by its first use: most commands see no image, and it brings 20 MB of native code. */
export function sharp(input: SharpInput, options: SharpOptions): Sharp {
  library ??= loaded();
  return library(input, options);
}

function loaded(): typeof Library {
  const it = createRequire(import.meta.url)('sharp') as typeof Library;
  // Several images at once, one thread each: that fills the cores better than several threads on a small image.
  it.concurrency(1);
  return it;
}
