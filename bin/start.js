import { existsSync } from 'node:fs';

const entry = new URL('../dist/cli/index.js', import.meta.url);
if (!existsSync(entry)) {
  console.error('maetok is not built yet: run `npm run setup` in its folder first');
  process.exit(1);
}
const { main } = await import(entry.href);
await main(process.argv.slice(2));
