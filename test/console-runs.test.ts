import type { Browser, BrowserContext, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { browserPath, openBrowser, type Started, startProduct, violations } from './browser.ts';
import { CONSOLE_PROJECT } from './console-project.ts';

interface Items<Item> {
  items: Item[];
}

describe.skipIf(!browserPath)(
  `what people do about runs, in a browser${browserPath ? '' : ' (skipped: no chromium here)'}`,
  () => {
    let product: Started;
    let browser: Browser;
    const contexts: BrowserContext[] = [];

    beforeAll(async () => {
      product = await startProduct();
      await product.api('/api/v1/apply', {
        method: 'POST',
        body: JSON.stringify({ files: CONSOLE_PROJECT }),
      });
      browser = await openBrowser();
    });
    afterAll(async () => {
      await browser?.close();
      await product?.stop();
    });
    afterEach(async () => {
      await Promise.all(contexts.splice(0).map((context) => context.close()));
    });

    async function open(path: string, options: Parameters<Browser['newContext']>[0] = {}): Promise<Page> {
      const context = await browser.newContext({ bypassCSP: true, timezoneId: 'UTC', ...options });
      contexts.push(context);
      await context.request.post(`${product.url}/api/v1/login`, { data: { key: product.key } });
      const page = await context.newPage();
      await page.goto(product.url + path);
      return page;
    }

    it.each([
      ['light', 1440, 900],
      ['dark', 1440, 900],
      ['light', 390, 844],
      ['dark', 390, 844],
    ] as const)(
      'the dialog of a back-fill is drawn, fits, and axe finds nothing: %s, %d px',
      async (colorScheme, width, height) => {
        const page = await open('/runs/schedules', { colorScheme, viewport: { width, height } });
        await page.getByRole('button', { name: 'Back-fill nightly' }).click();
        await page.getByRole('dialog').getByLabel('From').waitFor();
        // The dialog fades in: while it does, its colours are not those that are judged.
        await page.waitForTimeout(400);
        expect(await violations(page)).toEqual([]);
        expect(await page.evaluate('document.documentElement.scrollWidth - innerWidth')).toBeLessThanOrEqual(
          0,
        );
        const folder = process.env.SCREENSHOTS;
        if (folder) await page.screenshot({ path: `${folder}/backfill-${colorScheme}-${width}.png` });
      },
    );

    it('a past range of a schedule is made up for, once each', async () => {
      const page = await open('/runs/schedules');
      const fill = async () => {
        await page.getByRole('button', { name: 'Back-fill nightly' }).click();
        const dialog = page.getByRole('dialog');
        const start = dialog.getByRole('button', { name: 'Start the runs' });
        expect(await start.isDisabled()).toBe(true);
        await dialog.getByLabel('From').fill('2026-03-01T00:00');
        await dialog.getByLabel('Until, not included').fill('2026-03-04T00:00');
        await start.click();
        await dialog.getByRole('status').waitFor();
        const told = await dialog.getByRole('status').textContent();
        await dialog.getByRole('button', { name: 'Close' }).last().click();
        return told;
      };
      expect(await fill()).toBe('3 runs are started.');
      // One after the other: a time that still waits has no run yet.
      await vi.waitFor(
        async () => {
          const path = '/api/v1/runs?workflow=nightly&status=completed&limit=10';
          expect((await product.api<Items<object>>(path)).items).toHaveLength(3);
        },
        { timeout: 20_000, interval: 100 },
      );
      expect(await fill()).toBe('No run is started; 3 of the times had one already.');
    });

    it('the answers of people are taken out as labels where quality is judged', async () => {
      const page = await open('/quality?queue=return-review');
      const link = page.getByRole('link', { name: 'Download' });
      const { items } = await product.api<Items<{ id: string; contextDigest: string }>>(
        '/api/v1/tasks?queue=return-review&status=open&limit=1',
      );
      const [task] = items;
      expect(task).toBeDefined();
      if (task) {
        await product.api(`/api/v1/tasks/${task.id}/complete`, {
          method: 'POST',
          body: JSON.stringify({
            result: { outcome: 'refund', reason: 'The records bear it out.' },
            contextDigest: task.contextDigest,
          }),
        });
        await page.reload();
      }
      const [download] = await Promise.all([page.waitForEvent('download'), link.click()]);
      expect(download.suggestedFilename()).toBe('return-review-labels.jsonl');
    });
  },
);
