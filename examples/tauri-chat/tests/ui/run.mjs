// Drives the page in Chromium with the mock of the Rust side: `npm run test:ui [-- NAME...]`. Pictures go to tests/ui/shots.
// CHROMIUM names the browser, /usr/bin/chromium by default.
import { mkdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';
import { createServer } from 'vite';
import { cases } from './cases.mjs';

const root = fileURLToPath(new URL('../..', import.meta.url));
const shots = fileURLToPath(new URL('shots', import.meta.url));
mkdirSync(shots, { recursive: true });

const wanted = process.argv.slice(2);
const server = await createServer({
  root,
  mode: 'mock',
  logLevel: 'error',
  server: { port: 0, strictPort: false, hmr: false },
});
await server.listen();
const base = server.resolvedUrls?.local[0] ?? '';
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: ['--no-sandbox'],
});

let failed = 0;
for (const [name, { size = [1080, 760], theme = 'light', run }] of Object.entries(cases)) {
  if (wanted.length > 0 && !wanted.includes(name)) continue;
  const context = await browser.newContext({
    viewport: { width: size[0], height: size[1] },
    colorScheme: theme,
    permissions: ['clipboard-read', 'clipboard-write'],
  });
  const page = await context.newPage();
  page.setDefaultTimeout(15_000);
  // The first page waits for Vite to make its modules.
  page.setDefaultNavigationTimeout(90_000);
  const problems = [];
  page.on('pageerror', (error) => problems.push(error.message));
  page.on('console', (message) => {
    if (message.type() === 'error') problems.push(message.text());
  });
  try {
    await run({
      page,
      open: async (scenario) => {
        await page.goto(`${base}?mock=${scenario}`);
        await page.locator('.app[data-ready]').waitFor();
      },
      id: (testid) => page.locator(`[data-testid="${testid}"]`),
      shot: (suffix = '') => page.screenshot({ path: `${shots}/${name}${suffix}.png` }),
    });
    if (problems.length > 0) throw new Error(`the page reported: ${problems.join('; ')}`);
    console.log(`ok    ${name}`);
  } catch (error) {
    failed++;
    await page.screenshot({ path: `${shots}/${name}-failed.png` }).catch(() => undefined);
    console.log(`FAIL  ${name}\n      ${error instanceof Error ? error.message : error}`);
    for (const problem of problems) console.log(`      page: ${problem}`);
  }
  await context.close();
}
await browser.close();
await server.close();
process.exit(failed === 0 ? 0 : 1);
