import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { chmod, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import axe from 'axe-core';
import { type Browser, chromium, type Page } from 'playwright-core';
import { expect } from 'vitest';
import { freePort } from '../bench/product.ts';

const BINARIES = ['/usr/bin/chromium', '/usr/bin/google-chrome'];

/** The browser of this machine; undefined where none is installed. */
export const browserPath: string | undefined = BINARIES.find(existsSync);

/** Chromium without a display; as root it runs without its sandbox, and it calls nobody. */
export function openBrowser(): Promise<Browser> {
  return chromium.launch({
    executablePath: browserPath!,
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
    ],
  });
}

export interface Started {
  url: string;
  /** The one-time link of the banner; undefined where the console is not built (`node scripts/build-console.mjs`). */
  loginUrl: string | undefined;
  key: string;
  /** An answer of the API, asked with the admin key. */
  api<Answer>(path: string, init?: RequestInit): Promise<Answer>;
  stop(): Promise<void>;
}

/** The whole product with its example, as `npm start` runs it, in a process and a data folder of its own. */
export async function startProduct(environment: Record<string, string> = {}): Promise<Started> {
  const dataDir = await mkdtemp(join(tmpdir(), 'aios-console-'));
  await chmod(dataDir, 0o755); // as root, Postgres runs as another user
  const main = join(import.meta.dirname, '..', 'src', 'main.ts');
  const child = spawn(process.execPath, [main, 'start', '--example', 'returns'], {
    env: {
      ...process.env,
      AIOS_DATA_DIR: dataDir,
      AIOS_PORT: String(await freePort()),
      AIOS_GRPC_PORT: 'off', // the next port may be another test's
      AIOS_SIMULATION_PER_SECOND: '20',
      ...environment,
    },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let said = '';
  await new Promise<void>((resolve, reject) => {
    child.stderr.on('data', (bytes: Buffer) => {
      said += bytes.toString();
      if (said.includes('Ctrl-C stops everything')) resolve();
    });
    child.once('exit', (code) =>
      reject(new Error(`the product ended with ${code} before it was ready:\n${said}`)),
    );
  });
  const loginUrl = /http:\/\/\S+\/login\?token=\S+/.exec(said)?.[0];
  const { origin } = new URL(/http:\/\/\S+(?=\/api\/v1)/.exec(said)![0]);
  const key = (await readFile(join(dataDir, 'admin.key'), 'utf8')).trim();
  return {
    url: origin,
    loginUrl,
    key,
    async api(path, init) {
      const headers = { authorization: `Bearer ${key}`, 'content-type': 'application/json' };
      const response = await fetch(`${origin}${path}`, { ...init, headers });
      if (!response.ok) throw new Error(`${path} answered ${response.status}: ${await response.text()}`);
      return (await response.json()) as never;
    },
    async stop() {
      const ended = new Promise((resolve) => child.once('exit', resolve));
      child.kill('SIGINT');
      await ended;
      await rm(dataDir, { recursive: true, force: true });
    },
  };
}

/** Nothing is being read, and nothing fades any more: while it does, its colours are not those that are judged. */
const STEADY = `!document.querySelector('[aria-label="Loading"]') &&
  document.getAnimations().every((each) => each.playState !== 'running' || each.effect.getComputedTiming().iterations === Infinity)`;

/** Resolves once a page shows what it has to show, and stands still. */
export async function steady(page: Page): Promise<void> {
  await expect.poll(() => page.evaluate(STEADY), { timeout: 15_000 }).toBe(true);
}

/** What axe finds wrong on a page, a line for each rule that is broken. */
export async function violations(page: Page): Promise<string[]> {
  await steady(page);
  await page.evaluate(axe.source);
  return page.evaluate(`axe.run(document, { resultTypes: ['violations'] }).then(({ violations }) =>
    violations.map(({ id, nodes }) => id + ': ' + nodes.map(({ html }) => html.slice(0, 200)).join(' | ')))`);
}

/**
 * Looks at a page, as it stands, in light and dark, on a screen and on a phone.
 *
 * @param ready resolves once the page shows what is looked at
 * @returns what axe finds wrong, what is wider than the screen, and a look that is not followed, a line each
 */
export async function faultsInAllLooks(
  page: Page,
  ready?: (page: Page) => Promise<unknown>,
): Promise<string[]> {
  const faults: string[] = [];
  await page.getByRole('heading', { level: 1 }).first().waitFor(); // it is drawn
  const before = page.viewportSize()!;
  for (const colorScheme of ['light', 'dark'] as const)
    for (const width of [1440, 390]) {
      await page.emulateMedia({ colorScheme });
      await page.setViewportSize({ width, height: 900 });
      await ready?.(page);
      const look = `${colorScheme}, ${width} px`;
      for (const fault of await violations(page)) faults.push(`${look}: ${fault}`);
      const over = (await page.evaluate('document.documentElement.scrollWidth - innerWidth')) as number;
      if (over > 0) faults.push(`${look}: ${over} px wider than the screen`);
      const drawn = await page.evaluate('document.documentElement.dataset.mantineColorScheme');
      if (drawn !== colorScheme) faults.push(`${look}: drawn ${drawn}`);
    }
  await page.emulateMedia({ colorScheme: null });
  await page.setViewportSize(before);
  return faults;
}
