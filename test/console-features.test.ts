import type { Browser, BrowserContext, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { browserPath, openBrowser, openSignedIn, type Started, startProduct, violations } from './browser.ts';

const FILES = {
  'entities/client.yaml': 'name: client\njoinKeys: [client]',
  'features/scores.yaml':
    'name: scores\nentity: client\nowner: risk\ndescription: How likely a client is to return.\nsource: { push: scores }\nfeatures: { score: { type: float64, description: of the last model } }',
  'features/stock.yaml':
    'name: stock\nentity: client\nsource: { table: shop.stock, timestamp: at }\nfeatures: { units: { type: int64 } }',
  'services/clients.yaml': 'name: clients\nviews: [scores]',
};

// Says in its name why it is skipped, as the console's other tests do.
describe.skipIf(!browserPath)(
  `features in the console${browserPath ? '' : ' (skipped: no chromium here)'}`,
  () => {
    let product: Started;
    let browser: Browser;
    const contexts: BrowserContext[] = [];

    beforeAll(async () => {
      product = await startProduct();
      browser = await openBrowser();
      const files = Object.entries(FILES).map(([path, text]) => ({ path, text }));
      await send('/api/v1/apply', { files });
      await send('/api/v1/features/push', { source: 'scores', rows: [{ client: 'c-1', score: 0.25 }] });
    });
    afterAll(async () => {
      await browser?.close();
      await product?.stop();
    });
    afterEach(() => Promise.all(contexts.splice(0).map((context) => context.close())));

    const send = (path: string, body: object) =>
      product.api(path, { method: 'POST', body: JSON.stringify(body) });

    async function open(path: string): Promise<Page> {
      const page = await openSignedIn(browser, product, path);
      contexts.push(page.context());
      return page;
    }

    it('are listed with how fresh they are, and an entity is looked up by its key', async () => {
      const page = await open('/');
      await page.getByRole('navigation', { name: 'Main' }).getByText('Features').click();
      await page.getByRole('row', { name: /customer-orders stream customer/ }).waitFor();
      expect(await violations(page)).toEqual([]);
      await page.getByRole('link', { name: 'scores' }).click();
      await page.getByText('How likely a client is to return.').waitFor();
      await page.getByRole('row', { name: /score float64 of the last model/ }).waitFor();
      await page.getByLabel('client', { exact: true }).fill('c-1');
      await page.getByRole('button', { name: 'Look up' }).click();
      await page.getByRole('table', { name: 'Features of the entity' }).getByText('0.25').waitFor();
      expect(await violations(page)).toEqual([]);
    });

    it('of a table come online from its page, which says how far it is and why it failed', async () => {
      const page = await open('/features/stock');
      await page.getByText('Nothing is online yet').waitFor();
      await page.getByRole('button', { name: 'Bring new rows online' }).click();
      await page.getByText(/AIOS_FEATURE_SCHEMAS allows none/).waitFor();
      await page.getByText('failed').waitFor();
      expect(await violations(page)).toEqual([]);
    });
  },
);
