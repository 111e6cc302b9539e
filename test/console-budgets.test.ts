import type { Browser, BrowserContext, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { OpenAiServer } from '../src/testing/openai-server.ts';
import { browserPath, openBrowser, openSignedIn, type Started, startProduct, violations } from './browser.ts';

// Says in its name why it is skipped, as the console's other tests do.
describe.skipIf(!browserPath)(
  `budgets and calls of language models in the console${browserPath ? '' : ' (skipped: no chromium here)'}`,
  () => {
    let product: Started;
    let browser: Browser;
    let upstream: OpenAiServer;
    const contexts: BrowserContext[] = [];

    beforeAll(async () => {
      process.env.AIOS_HTTP_ALLOW_PRIVATE = '127.0.0.1';
      upstream = await OpenAiServer.start();
      product = await startProduct();
      browser = await openBrowser();
      const text = `
name: assistant
runtime: openai
alias: champion
endpoint: { url: '${upstream.url}', model: echo, outputTokensMax: 10, prices: { inputUsdPerMillion: 2000, outputUsdPerMillion: 8000 } }
serving: { log: { sample: 1, redact: [messages.content] } }
`;
      await send('POST', '/api/v1/apply', { files: [{ path: 'models/assistant/model.yaml', text }] });
    });
    afterAll(async () => {
      delete process.env.AIOS_HTTP_ALLOW_PRIVATE;
      await browser?.close();
      await product?.stop();
      await upstream?.stop();
    });
    afterEach(() => Promise.all(contexts.splice(0).map((context) => context.close())));

    const send = (method: string, path: string, body: object) =>
      product.api(path, { method, body: JSON.stringify(body) });
    const ask = (content: string) =>
      send('POST', '/v1/chat/completions', { model: 'assistant', messages: [{ role: 'user', content }] });

    async function open(path: string, options: Parameters<Browser['newContext']>[0] = {}): Promise<Page> {
      const page = await openSignedIn(browser, product, path, options);
      contexts.push(page.context());
      return page;
    }

    it('say so when there are none', async () => {
      const page = await open('/budgets');
      await page.getByText('No budget is set').waitFor();
      expect(await violations(page)).toEqual([]);
    });

    it('are shown with what was used and is held back, each key apart', async () => {
      await send('PUT', '/api/v1/budgets/team', {
        scope: 'all',
        period: 'month',
        amountMicroUsdMax: 1_000_000,
      });
      await send('PUT', '/api/v1/budgets/fair', { scope: 'key', period: 'day', tokensMax: 30 });
      await send('PUT', '/api/v1/budgets/assistant', {
        scope: 'model',
        subject: 'assistant',
        period: 'hour',
        tokensMax: 5_000,
      });
      await ask('hello there');
      upstream.next({ kind: 'slow', ms: 60_000 });
      const page = await open('/');
      await page.getByRole('navigation', { name: 'Main' }).getByText('Budgets').click();
      const waiting = ask('slow').catch(() => undefined);
      const fair = page.getByRole('region', { name: 'fair' });
      await fair.getByText('For each key, in each day.').waitFor();
      await fair.getByText(/^5 of 30, \d+ held back$/).waitFor();
      await page
        .getByRole('region', { name: 'team' })
        .getByText(/^\$0\.\d+ of \$1\.00, \$0\.\d+ held back$/)
        .waitFor();
      await page
        .getByRole('region', { name: 'assistant' })
        .getByRole('link', { name: 'assistant' })
        .waitFor();
      void waiting;
    });

    it('a sampled call is told in words, with its tokens and costs, without what is redacted', async () => {
      const page = await open('/models/assistant');
      const panel = page.getByRole('region', { name: 'Sampled requests' });
      await panel.getByRole('row', { name: /answered.*Echo: hello there/ }).click();
      const drawer = page.getByRole('dialog');
      await drawer
        .getByText(
          /2 tokens read \(1 of them kept by the server\), 3 written, \$0\.0\d+\. Asked: 127\.0\.0\.1:\d+\/echo\./,
        )
        .waitFor();
      await drawer.getByText('Not kept: messages.content.').waitFor();
      expect(await drawer.getByRole('region', { name: 'Input' }).innerText()).not.toContain('hello');
      expect(await violations(page)).toEqual([]);
    });

    it.each([
      ['light', 1440, 900],
      ['dark', 1440, 900],
      ['light', 390, 844],
      ['dark', 390, 844],
    ] as const)('fit, and axe finds nothing: %s, %d px', async (colorScheme, width, height) => {
      const page = await open('/budgets', { viewport: { width, height }, colorScheme, bypassCSP: true });
      await page.getByRole('region', { name: 'fair' }).getByText('Tokens').waitFor();
      expect(await violations(page)).toEqual([]);
      expect(await page.evaluate('document.documentElement.scrollWidth - innerWidth')).toBeLessThanOrEqual(0);
    });
  },
);
