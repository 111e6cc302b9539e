import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import {
  browserPath,
  faultsInAllLooks,
  openBrowser,
  openSignedIn,
  type Started,
  startProduct,
  violations,
} from './browser.ts';

const FILES = {
  'entities/client.yaml': 'name: client\njoinKeys: [client]',
  'features/scores.yaml':
    'name: scores\nentity: client\nsource: { push: scores }\nfeatures: { score: { type: float64 } }',
  'services/clients.yaml': 'name: clients\nviews: [scores]',
};
/** So many rows are long under way: it is canceled before. */
const MANY_ROWS = 1_000_000;
const ROW = 'c-1,2026-01-02T00:00:00Z\n';

describe.skipIf(!browserPath)(
  `historical joins of files in the console${browserPath ? '' : ' (skipped: no chromium here)'}`,
  () => {
    let product: Started;
    let browser: Browser;
    let folder: string;
    const contexts: BrowserContext[] = [];

    beforeAll(async () => {
      folder = await mkdtemp(join(tmpdir(), 'aios-console-joins-'));
      await writeFile(join(folder, 'few.csv'), `client,timestamp\n${ROW.repeat(3)}`);
      await writeFile(join(folder, 'keyless.csv'), 'name,timestamp\nx,2026-01-02T00:00:00Z\n');
      await writeFile(join(folder, 'many.csv'), `client,timestamp\n${ROW.repeat(MANY_ROWS)}`);
      product = await startProduct({ AIOS_FEATURE_FOLDERS: folder });
      browser = await openBrowser();
      const files = Object.entries(FILES).map(([path, text]) => ({ path, text }));
      await send('/api/v1/apply', { files });
      const rows = [{ client: 'c-1', score: 0.25, timestamp: '2026-01-01T00:00:00Z' }];
      await send('/api/v1/features/push', { source: 'scores', rows });
    });
    afterAll(async () => {
      await browser?.close();
      await product?.stop();
      await rm(folder, { recursive: true, force: true });
    });
    afterEach(() => Promise.all(contexts.splice(0).map((context) => context.close())));

    const send = (path: string, body: object) =>
      product.api(path, { method: 'POST', body: JSON.stringify(body) });
    const start = (name: string) =>
      send('/api/v1/features/joins', {
        service: 'clients',
        entities: `${name}.csv`,
        out: `${name}.parquet`,
      });

    async function open(): Promise<Page> {
      const page = await openSignedIn(browser, product, '/features');
      contexts.push(page.context());
      return page;
    }

    it('are listed with what came of them, and why one failed', async () => {
      const page = await open();
      await page.getByText('aios features historical').waitFor();
      await start('few');
      await start('keyless');
      await page.reload();
      await page.getByRole('row', { name: /done few\.parquet few\.csv with clients 3/ }).waitFor();
      await page.getByRole('row', { name: /failed .*no column client/ }).waitFor();
      const listed = (each: Page) => each.getByText('few.parquet').waitFor();
      expect(await faultsInAllLooks(browser, product, '/features', listed)).toEqual([]);
    });

    it('are watched while they run, and end when somebody says so', async () => {
      await start('many');
      const page = await open();
      const row = page.getByRole('row', { name: /many\.parquet/ });
      await row.getByRole('progressbar', { name: 'Progress of many.parquet' }).waitFor();
      await row.getByText(/ of 1M/).waitFor();
      await row.getByRole('button', { name: 'Cancel many.parquet' }).focus();
      await page.keyboard.press('Enter');
      const question = page.getByRole('dialog', { name: 'Cancel this join?' });
      await question.getByRole('button', { name: 'Cancel the join' }).waitFor();
      expect(await violations(page)).toEqual([]);
      await question.getByRole('button', { name: 'Cancel the join' }).click();
      await row.getByText('canceled').waitFor();
      expect(await row.getByRole('button', { name: /^Cancel/ }).count()).toBe(0);
    });
  },
);
