import { existsSync } from 'node:fs';
import module from 'node:module';

const argv = process.argv.slice(2);
// Since Node 22.8: what was compiled once is kept for the next start.
module.enableCompileCache?.();
// Reading the maps takes time, and traces are printed only then.
if (argv.includes('--verbose')) process.setSourceMapsEnabled(true);
// A shell waits for this at every press of the key: it has an entry of its own, which loads less.
const completes = argv[0] === '--complete';
const entry = new URL(`../dist/cli/${completes ? 'complete' : 'index'}.js`, import.meta.url);
if (!existsSync(entry)) {
  console.error('maetok is not built yet: run `npm run setup` in its folder first');
  process.exit(1);
}
// Before the program's own error handling is loaded.
const tooManyFiles = error => {
  if (error.code !== 'EMFILE') throw error;
  console.error(`maetok: ${error.path}: too many files are open at once; allow more with \`ulimit -n 4096\``);
  process.exit(1);
};
const { main } = await import(entry.href).catch(tooManyFiles);
await main(completes ? argv.slice(1) : argv);
