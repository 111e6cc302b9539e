import type { Browser, BrowserContext, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { browserPath, openBrowser, openSignedIn, type Started, startProduct, violations } from './browser.ts';

// Says in its name why it is skipped, as the console's other tests do.
describe.skipIf(!browserPath)(
  `lineage in the console${browserPath ? '' : ' (skipped: no chromium here)'}`,
  () => {
    let product: Started;
    let browser: Browser;
    const contexts: BrowserContext[] = [];
    beforeAll(async () => {
      product = await startProduct();
      browser = await openBrowser();
    });
    afterAll(async () => {
      await browser?.close();
      await product?.stop();
    });
    afterEach(() => Promise.all(contexts.splice(0).map((context) => context.close())));

    async function open(path: string): Promise<Page> {
      const page = await openSignedIn(browser, product, path);
      contexts.push(page.context());
      return page;
    }

    it('is reached from a model, drawn, and goes on from node to node', async () => {
      const page = await open('/models/return-risk');
      await page.getByRole('main').getByRole('link', { name: 'Lineage', exact: true }).click();
      await page.getByRole('region', { name: 'Lineage graph' }).waitFor();
      const nodes = page.getByRole('table', { name: 'Nodes of the lineage' });
      await nodes.getByRole('row', { name: /service-feature return-risk\.spend_30d number 1 up/ }).waitFor();
      await nodes.getByRole('row', { name: /workflow returns 1 1 down/ }).waitFor();
      expect(await violations(page)).toEqual([]);
      await nodes.getByRole('link', { name: 'return-risk.spend_30d' }).click();
      await nodes.getByRole('row', { name: /feature customer-orders\.spend_30d number 1 up/ }).waitFor();
      await page.getByRole('group', { name: 'feature customer-orders.spend_30d' }).click();
      await nodes.getByRole('row', { name: /field order\.placed#total number 1 up/ }).waitFor();
      expect(new URL(page.url()).searchParams.get('node')).toBe('feature:customer-orders.spend_30d');
    });

    it('says what is near a node that is not there', async () => {
      const page = await open('/lineage');
      await page.getByText('Name a node').waitFor();
      await page.getByLabel('Node').fill('feature:customer-orders.spent_30d');
      await page.getByRole('button', { name: 'Show' }).click();
      await page.getByText(/feature:customer-orders\.spend_30d/).waitFor();
      expect(await violations(page)).toEqual([]);
    });
  },
);
