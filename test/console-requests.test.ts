import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { logisticModel } from '../src/testing/onnx.ts';
import { browserPath, openBrowser, openSignedIn, type Started, startProduct, violations } from './browser.ts';

const CREDIT = `
name: credit
file: credit.onnx
signature: { features: [age, orders], results: { score: { output: probabilities, column: 0 } } }
serving:
  log: { sample: 1, redact: [age] }
  cache: { ttlMs: 60000 }
`;

// Says in its name why it is skipped, as the console's other tests do.
describe.skipIf(!browserPath)(
  `the requests of a model in the console${browserPath ? '' : ' (skipped: no chromium here)'}`,
  () => {
    let product: Started;
    let browser: Browser;
    beforeAll(async () => {
      product = await startProduct();
      browser = await openBrowser();
      const base64 = Buffer.from(logisticModel([0.2, 0.4], 0)).toString('base64');
      await post('/api/v1/apply', {
        files: [
          { path: 'models/credit/model.yaml', text: CREDIT },
          { path: 'models/credit/credit.onnx', base64 },
        ],
      });
      const infer = (data: number[], datatype = 'FP32') =>
        post('/v2/models/credit/infer', { inputs: [{ name: 'features', datatype, shape: [1, 2], data }] });
      await infer([41, 2]);
      await infer([41, 2]);
      await infer([41, 2], 'FP64').catch(() => {});
    });
    afterAll(async () => {
      await browser?.close();
      await product?.stop();
    });
    const post = (path: string, body: object) =>
      product.api(path, { method: 'POST', body: JSON.stringify(body) });

    it('are listed with what was answered, narrowed in the address, and opened without what is redacted', async () => {
      const page = await openSignedIn(browser, product, '/models/credit');
      const panel = page.getByRole('region', { name: 'Sampled requests' });
      await panel.getByRole('row', { name: /failed.*serving\.tensor_type/ }).waitFor();
      expect(await panel.getByRole('row', { name: /answered/ }).count()).toBe(2);
      await page.getByText('From the cache').waitFor();
      await panel
        .getByRole('row', { name: /answered/ })
        .first()
        .click();
      const drawer = page.getByRole('dialog');
      await drawer.getByText('Not kept: age.').waitFor();
      const input = await drawer.getByRole('region', { name: 'Input' }).innerText();
      expect(input).not.toContain('41');
      expect(page.url()).toMatch(/request=inf_/);
      expect(await violations(page)).toEqual([]);
      await page.keyboard.press('Escape');
      await drawer.waitFor({ state: 'hidden' });
      await panel.getByLabel('Which requests').click();
      await page.getByRole('option', { name: 'failed' }).click();
      await expect.poll(() => panel.getByRole('row', { name: /answered/ }).count()).toBe(0);
      expect(page.url()).toMatch(/status=failed/);
      await page.context().close();
    });
  },
);
