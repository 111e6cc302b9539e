import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Browser, BrowserContext, ConsoleMessage, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, describe, expect } from 'vitest';
import { createTestDatabase, type TestDatabase } from '../src/testing/database.ts';
import { browserPath, openBrowser, type Started, startProduct } from './browser.ts';

type ContextOptions = Parameters<Browser['newContext']>[0];

/** What the tests of one file do with a console over the whole product; it is there from their `beforeAll` on. */
export interface ConsoleUnderTest {
  product(): Started;
  /** That the product keeps its data in. */
  database(): Pick<TestDatabase, 'url'>;
  /** That the environment of the product was made with. */
  folder(): string;
  /** A page with a session of the admin, closed after its test; an error that it throws or logs fails the test. */
  open(path: string, options?: ContextOptions): Promise<Page>;
  /** What pages may log during the test at hand without failing it: a test that takes something away wants it logged. */
  allowFaults(of: RegExp): void;
  /** A browser without a session, closed after its test. */
  openStranger(): Promise<BrowserContext>;
  /** The answer of the API to a question. */
  ask<Answer>(path: string): Promise<Answer>;
  /** The answer of the API to a body. */
  send<Answer>(path: string, body: object, method?: 'POST' | 'PUT'): Promise<Answer>;
  /** Applies project files: their text by their path. */
  apply(files: Readonly<Record<string, string>>): Promise<unknown>;
}

/** So many returns a second as a page needs to show some: they cost as much as the tests themselves at 20. */
const QUIET = { AIOS_SIMULATION_PER_SECOND: '2' };

/**
 * Tests of the console in a browser, over a product of their own; where no browser is installed their name says so.
 *
 * @param environment of the product, made before it starts, with a folder for what it names; the folder is deleted in the end
 * @example describeConsole('features in the console', ({ open }) => { it('are listed', async () => { await open('/features') }) })
 */
export function describeConsole(
  what: string,
  tests: (console: ConsoleUnderTest) => void,
  environment: (folder: string) => Promise<Record<string, string>> = async () => ({}),
): void {
  const name = `${what}${browserPath ? '' : ' (skipped: no chromium here)'}`;
  describe.skipIf(!browserPath)(name, () => {
    let folder: string;
    let database: TestDatabase;
    let product: Started;
    let browser: Browser;
    const contexts: BrowserContext[] = [];
    const faults: string[] = [];
    let allowed: RegExp | undefined;

    beforeAll(async () => {
      folder = await mkdtemp(join(tmpdir(), 'aios-console-files-'));
      database = await createTestDatabase([]);
      const own = await environment(folder);
      const starting = startProduct({ AIOS_DATABASE_URL: database.url, ...QUIET, ...own });
      [product, browser] = await Promise.all([starting, openBrowser()]);
      expect(product.loginUrl, 'the console is not built: node scripts/build-console.mjs').toBeDefined();
    });
    afterAll(async () => {
      await browser?.close();
      await product?.stop();
      await database?.close();
      await rm(folder, { recursive: true, force: true });
    });
    afterEach(async () => {
      await Promise.all(contexts.splice(0).map((context) => context.close()));
      const wanted = allowed;
      allowed = undefined;
      expect(faults.splice(0).filter((fault) => !wanted?.test(fault))).toEqual([]);
    });

    const openContext = async (options?: ContextOptions) => {
      const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, ...options });
      contexts.push(context);
      return context;
    };
    const send: ConsoleUnderTest['send'] = (path, body, method = 'POST') =>
      product.api(path, { method, body: JSON.stringify(body) });
    tests({
      product: () => product,
      database: () => database,
      folder: () => folder,
      openStranger: openContext,
      allowFaults(of) {
        allowed = of;
      },
      ask: (path) => product.api(path),
      send,
      apply: (files) =>
        send('/api/v1/apply', { files: Object.entries(files).map(([path, text]) => ({ path, text })) }),
      async open(path, options) {
        const context = await openContext(options);
        await context.request.post(`${product.url}/api/v1/login`, { data: { key: product.key } });
        const page = await context.newPage();
        page.on('pageerror', (error) => faults.push(`${path}: ${error.message}`));
        page.on('console', (message) => isFault(message) && faults.push(`${path}: ${message.text()}`));
        await page.goto(product.url + path);
        return page;
      },
    });
  });
}

/** What the API refuses is logged by the browser too; that is the page's to show, and often wanted. */
function isFault(message: ConsoleMessage): boolean {
  return message.type() === 'error' && !/\/(api|v2)\//.test(message.location().url);
}
