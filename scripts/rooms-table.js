// Writes the table of rooms in docs/architecture.md from scripts/rooms.cjs; with --check only says whether it is current.
import { readFileSync, writeFileSync } from 'node:fs';
import prettier from 'prettier';
import rooms from './rooms.cjs';

const PAGE = 'docs/architecture.md';
const TABLE = /(<!-- rooms -->\n)[^]*?(\n<!-- end of rooms -->)/;

const code = name => `\`${name}\``;
const below = [];
const lines = rooms.rooms.map(({ name, holds, imports }) => {
  const all = below.length > 10 && below.every(room => imports.includes(room));
  below.push(name);
  return `| ${code(name)} | ${holds} | ${all ? 'all above' : imports.map(code).join(' ') || '–'} |`;
});
const table = ['| room | holds | imports |', '| --- | --- | --- |', ...lines].join('\n');

const page = readFileSync(PAGE, 'utf8');
if (!TABLE.test(page)) throw new Error(`${PAGE} has no <!-- rooms --> to write the table between`);
const options = { ...(await prettier.resolveConfig(PAGE)), filepath: PAGE };
const current = await prettier.format(
  page.replace(TABLE, (_, open, close) => `${open}\n${table}\n${close}`),
  options,
);
if (process.argv.includes('--check')) {
  if (current !== page) {
    console.error(`${PAGE}: its table of rooms is not what scripts/rooms.cjs says; \`npm run format\` writes it`);
    process.exit(1);
  }
} else if (current !== page) writeFileSync(PAGE, current);
