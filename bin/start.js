import { existsSync } from 'node:fs';

const entry = new URL('../dist/cli/index.js', import.meta.url);
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
await main(process.argv.slice(2));
