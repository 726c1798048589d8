import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { readFileSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { chromium, type Browser, type Locator, type Page } from 'playwright-core';
import { htmlReport } from '../../src/report/index.js';
import { CHROMIUM } from '../helpers/browser.js';
import { reportPage } from '../helpers/report-page.js';
import { tempFolder } from '../helpers/temp.js';

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core'), 'utf8');

interface Axe {
  violations: { id: string; nodes: { html: string }[] }[];
}

const inBrowser = CHROMIUM === undefined ? describe.skip : describe;

inBrowser('the report in a browser (skipped without Chromium; CHROMIUM names one)', () => {
  const folder = tempFolder();
  const complaints: string[] = [];
  let address = '';
  let browser: Browser;
  let page: Page;

  /** The report at a width and in a theme, with every chart drawn. */
  async function open({ width = 1280, dark = false, scripts = true }): Promise<Page> {
    const context = await browser.newContext({
      viewport: { width, height: 900 },
      colorScheme: dark ? 'dark' : 'light',
      javaScriptEnabled: scripts,
      permissions: ['clipboard-read', 'clipboard-write'],
    });
    const made = await context.newPage();
    made.on('console', message => complaints.push(message.text()));
    made.on('pageerror', error => complaints.push(error.message));
    made.on('request', request => {
      if (!/^(file|data|blob):/.test(request.url())) complaints.push(`request: ${request.url()}`);
    });
    await made.goto(address);
    if (!scripts) return made;
    for (const figure of await made.locator('figure.chart').all()) {
      await figure.scrollIntoViewIfNeeded();
      await figure.locator('.plot[data-ready]').waitFor();
    }
    return made;
  }

  const clipboard = (): Promise<string> => page.evaluate('navigator.clipboard.readText()');
  const chart = (name: string): Locator => page.locator(`[data-chart=${name}]`);
  /** The first column of the summary, from top to bottom. */
  const order = (): Promise<string[]> => page.locator('[data-table=summary] tbody th .value').allInnerTexts();

  beforeAll(async () => {
    const path = join(folder, 'report.html');
    await writeFile(path, await htmlReport(await reportPage()));
    address = pathToFileURL(path).href;
    browser = await chromium.launch({ executablePath: CHROMIUM!, args: ['--no-sandbox'] });
    page = await open({});
  });

  afterAll(async () => {
    await browser.close();
  });

  it('opens with question, answer and the chart that carries it', async () => {
    await page.evaluate('scrollTo(0, 0)');
    for (const part of ['.question', '.answer', 'header ul', 'header .plot']) {
      const { y, height } = (await page.locator(part).boundingBox())!;
      expect(y + height).toBeLessThan(900);
    }
  });

  it('shows the row behind a point, with its picture', async () => {
    await chart('embedding').scrollIntoViewIfNeeded();
    await chart('embedding').locator('.mark-symbol path').first().hover({ force: true });
    const tooltip = page.locator('.tooltip');
    expect(await tooltip.innerText()).toMatch(/source\s+(mae|ae|kl-vae)[^]*class\s+(fox|owl)/);
    expect(await tooltip.locator('img').getAttribute('src')).toMatch(/^data:image\/png/);
    await page.mouse.move(0, 0);
    await tooltip.waitFor({ state: 'detached' });
  });

  it('takes a series out of a chart by its button and brings it back from the keyboard', async () => {
    const toggle = chart('nll').getByRole('button', { name: 'ae', exact: true });
    const line = chart('nll').locator('.mark-line path[stroke="#d55e00"]');
    await line.waitFor({ state: 'attached' });
    await toggle.click();
    expect(await toggle.getAttribute('aria-pressed')).toBe('false');
    await line.waitFor({ state: 'detached' });
    await toggle.focus();
    await page.keyboard.press('Space');
    await line.waitFor({ state: 'attached' });
    expect(await toggle.getAttribute('aria-pressed')).toBe('true');
  });

  it('makes an axis logarithmic and zooms', async () => {
    const ticks = (): Promise<string[]> =>
      chart('nll').locator('.role-axis-label').first().locator('text').allTextContents();
    const linear = await ticks();
    await chart('nll').getByLabel('log x').check();
    await expect(changed(ticks, linear)).resolves.toContain('10');
    const before = await ticks();
    await chart('nll').locator('.plot').hover();
    await page.keyboard.down('Control');
    await page.mouse.wheel(0, -200);
    await page.keyboard.up('Control');
    await changed(ticks, before);
    await chart('nll').getByRole('button', { name: 'Reset zoom' }).click();
  });

  it('sorts a table by pointer and keyboard, better values first, unmeasured last', async () => {
    const accuracy = page.locator('[data-table=summary] th[data-key=accuracy]');
    await accuracy.getByRole('button').click();
    expect(await accuracy.getAttribute('aria-sort')).toBe('descending');
    expect(await order()).toEqual(['mae', 'ae', 'kl-vae']);
    await page.keyboard.press('Enter');
    expect(await accuracy.getAttribute('aria-sort')).toBe('ascending');
    expect(await order()).toEqual(['ae', 'mae', 'kl-vae']);
    await page.locator('[data-table=summary] th[data-key=nll] button').click();
    expect(await accuracy.getAttribute('aria-sort')).toBe('none');
    expect(await order()).toEqual(['mae', 'ae', 'kl-vae']);
  });

  it('copies a table as CSV with all digits, as LaTeX and as Markdown', async () => {
    const copy = async (format: string): Promise<string> => {
      await page.getByRole('button', { name: `Copy ${format}` }).click();
      await page.locator('#said', { hasText: `${format} copied` }).waitFor({ state: 'attached' });
      return await clipboard();
    };
    expect((await copy('CSV')).split('\n').slice(0, 2)).toEqual([
      'source,nll,nll_low,nll_high,accuracy,accuracy_low,accuracy_high,fid,fid_low,fid_high',
      'mae,1.4213,1.39,1.45,0.71,0.66,0.75,20.13,18.2,22.4',
    ]);
    expect(await copy('LaTeX')).toContain('\\textbf{1.421} {\\small [1.390, 1.450]} &');
    expect((await copy('Markdown')).split('\n')[3]).toMatch(/^\| ae \| 1\.440 \[1\.410, 1\.470\] ≈ \|/);
  });

  it('saves a chart as SVG, PNG and CSV', async () => {
    const saved = async (name: string): Promise<Buffer> => {
      const [download] = await Promise.all([
        page.waitForEvent('download'),
        chart('nll').getByRole('button', { name, exact: true }).click(),
      ]);
      expect(download.suggestedFilename()).toBe(`nll.${name.toLowerCase()}`);
      return await readFile(await download.path());
    };
    expect((await saved('SVG')).toString()).toMatch(/^<svg[^]*<\/svg>$/);
    expect((await saved('PNG')).subarray(1, 4).toString()).toBe('PNG');
    expect((await saved('CSV')).toString()).toMatch(
      /^source,components,nll,nll_low,nll_high\nmae,1,1\.5,1\.46,1\.55\n/,
    );
  });

  it('shows reconstructions as differences, and samples of one guidance and class', async () => {
    const [reconstructions, samples] = ['reconstructions', 'samples'].map(kind => page.locator(`[data-kind=${kind}]`));
    await reconstructions.getByLabel('show').selectOption('4');
    const style = (selector: string, property: string): Promise<string> =>
      page.evaluate(`getComputedStyle(document.querySelector('${selector}')).${property}`);
    expect(await style('.frame img', 'mixBlendMode')).toBe('difference');
    expect(await style('.frame', 'backgroundImage')).toMatch(/^url\("data:image\/png/);
    const seen = samples.locator('.sample:visible');
    expect((await seen.allInnerTexts()).every(text => text.endsWith('guidance 1'))).toBe(true);
    await samples.getByLabel('guidance').press('ArrowRight');
    await samples.getByLabel('class').selectOption('owl');
    expect(await seen.allInnerTexts()).toEqual(Array.from({ length: 6 }, () => 'owl, guidance 2.5'));
  });

  // Contrast depends on the theme and layout on the width: two of the four have every rule.
  it.each([
    { width: 1280, dark: false, rules: true },
    { width: 390, dark: true, rules: true },
    { width: 1280, dark: true, rules: false },
    { width: 390, dark: false, rules: false },
  ])('fits a page of $width pixels and is accessible there (dark: $dark)', async ({ width, dark, rules }) => {
    const other = await open({ width, dark });
    await other.evaluate(
      `document.querySelectorAll('${rules ? '.table details' : 'details'}').forEach(one => one.setAttribute('open', ''))`,
    );
    expect(await other.evaluate('document.documentElement.scrollWidth')).toBe(width);
    if (rules) {
      await other.evaluate(AXE);
      const { violations } = await other.evaluate<Axe>(`axe.run({ exclude: ['.plot > *'] })`);
      expect(violations.map(({ id, nodes }) => `${id}: ${nodes[0].html}`)).toEqual([]);
    }
    await other.context().close();
  });

  it('has its charts and tables without scripts', async () => {
    const still = await open({ scripts: false });
    expect(await still.locator('figure.chart .plot svg').count()).toBe(5);
    expect(await still.getByRole('img', { name: 'mae falls from 1.5 at 1' }).count()).toBe(1);
    await still.context().close();
  });

  it('has asked for nothing over the network and reported no error', () => {
    expect(complaints).toEqual([]);
  });
});

/** The next value that differs from an earlier one. @throws where there is none within five seconds. */
async function changed<T>(read: () => Promise<T>, before: T): Promise<T> {
  for (let attempt = 0; attempt < 100; attempt++) {
    const now = await read();
    if (JSON.stringify(now) !== JSON.stringify(before)) return now;
    await new Promise(resolve => setTimeout(resolve, 50));
  }
  throw new Error('nothing changed');
}
