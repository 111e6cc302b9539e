import { afterAll, beforeAll, expect, it } from 'vitest';
import { OpenAiServer } from '../src/testing/openai-server.ts';
import { faultsInAllLooks, violations } from './browser.ts';
import { describeConsole } from './console-under-test.ts';

describeConsole(
  'budgets and calls of language models in the console',
  ({ open, send, apply }) => {
    let upstream: OpenAiServer;

    beforeAll(async () => {
      upstream = await OpenAiServer.start();
      const text = `
name: assistant
runtime: openai
alias: champion
endpoint: { url: '${upstream.url}', model: echo, outputTokensMax: 10, prices: { inputUsdPerMillion: 2000, outputUsdPerMillion: 8000 } }
serving: { log: { sample: 1, redact: [messages.content] } }
`;
      await apply({ 'models/assistant/model.yaml': text });
    });
    afterAll(async () => {
      await upstream?.stop();
    });

    const chat = (content: string) =>
      send('/v1/chat/completions', { model: 'assistant', messages: [{ role: 'user', content }] });

    it('say so when there are none', async () => {
      const page = await open('/budgets');
      await page.getByText('No budget is set').waitFor();
      expect(await violations(page)).toEqual([]);
    });

    it('are shown with what was used and is held back, each key apart', async () => {
      await send(
        '/api/v1/budgets/team',
        {
          scope: 'all',
          period: 'month',
          amountMicroUsdMax: 1_000_000,
        },
        'PUT',
      );
      await send('/api/v1/budgets/fair', { scope: 'key', period: 'day', tokensMax: 30 }, 'PUT');
      await send(
        '/api/v1/budgets/assistant',
        {
          scope: 'model',
          subject: 'assistant',
          period: 'hour',
          tokensMax: 5_000,
        },
        'PUT',
      );
      await chat('hello there');
      upstream.next({ kind: 'hang' });
      const page = await open('/');
      await page.getByRole('navigation', { name: 'Main' }).getByText('Budgets').click();
      const waiting = chat('slow').catch(() => undefined);
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

    it('fit in every look, and axe finds nothing', async () => {
      const page = await open('/budgets');
      await page.getByRole('region', { name: 'fair' }).getByText('Tokens').waitFor();
      expect(await faultsInAllLooks(page)).toEqual([]);
    });
  },
  async () => ({ AIOS_HTTP_ALLOW_PRIVATE: '127.0.0.1' }),
);
