import { beforeAll, expect, it } from 'vitest';
import { violations } from './browser.ts';
import { describeConsole } from './console-under-test.ts';

const CONTRACT = 'name: thing.done\nversion: 1.0.0\nowner: test\nschema: { type: object }\n';

describeConsole('webhooks in the console', ({ open, send, apply }) => {
  beforeAll(() => apply({ 'contracts/thing.done.yaml': CONTRACT }));

  it('are made with a secret that is shown once, tell what failed and why, and are disabled', async () => {
    const page = await open('/events?tab=webhooks');
    await page.getByText('No webhook').waitFor();
    await page.getByRole('button', { name: 'New webhook' }).click();
    const dialog = page.getByRole('dialog');
    // A private address that nobody allowed: what leaves is guarded.
    await dialog.getByLabel('Address').fill('http://127.0.0.1:9/hook');
    await dialog.getByLabel('Types').fill('thing.done');
    await dialog.getByLabel('Filter').fill('data.x ==');
    await dialog.getByRole('button', { name: 'Make it' }).click();
    await dialog.getByText('expression.syntax').waitFor();
    await dialog.getByLabel('Filter').fill('data.x == 1.0');
    await dialog.getByRole('button', { name: 'Make it' }).click();
    await dialog.getByText(/^whsec_/).waitFor();
    await dialog.getByRole('button', { name: 'Done' }).click();
    const row = page.getByRole('row', { name: /127\.0\.0\.1:9/ });
    await row.getByText('active').waitFor();
    const event = { specversion: '1.0', id: 'w-1', source: 'urn:test', type: 'thing.done', data: { x: 1 } };
    await send('/api/v1/events', event);
    await row.getByText('failing').waitFor();
    await row.getByRole('button').click();
    const drawer = page.getByRole('dialog');
    await drawer.getByText('w-1').waitFor();
    await drawer
      .getByText(/AIOS_HTTP_ALLOW_PRIVATE|private/)
      .first()
      .waitFor();
    expect(await violations(page)).toEqual([]);
    await drawer.getByRole('button', { name: 'Disable' }).click();
    await drawer.getByRole('button', { name: 'Enable' }).waitFor();
    await drawer.getByRole('button', { name: 'Close' }).click();
    await row.getByText('disabled by a person').waitFor();
    await row.getByRole('button').click();
    const question = page.getByRole('dialog', { name: 'Delete this webhook?' });
    const ask = drawer.getByRole('button', { name: /^Delete the webhook to/ });
    await ask.click();
    await question.getByRole('button', { name: 'Leave it' }).click();
    await ask.click();
    await question.getByRole('button', { name: 'Delete it' }).click();
    await page.getByText('No webhook').waitFor();
    await page.getByRole('tab', { name: 'Consumer groups' }).click();
    await page.getByRole('row', { name: /workflows/ }).waitFor();
  });
});
