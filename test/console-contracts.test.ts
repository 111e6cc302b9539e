import { beforeAll, expect, it } from 'vitest';
import { violations } from './browser.ts';
import { describeConsole } from './console-under-test.ts';

const contract = (version: string, total: string) => `
name: order.weighed
version: ${version}
owner: shop
team: [{ username: ada, role: owner }]
onInvalid: quarantine
quality: [{ metric: nullValues, property: note }]
slaProperties: [{ property: latency, value: 5, unit: m }]
schema: { type: object, required: [total], properties: { total: { type: ${total} } } }
`;

describeConsole('contracts in the console', ({ product, open, send, apply }) => {
  beforeAll(async () => {
    await release('1.0.0', 'number');
    await release('1.1.0', '[number, string]');
    const answer = await fetch(`${product().url}/api/v1/events`, {
      method: 'POST',
      headers: {
        authorization: `Bearer ${product().key}`,
        'content-type': 'application/cloudevents-batch+json',
      },
      body: JSON.stringify(
        ['kept-1', 'kept-2'].map((id) => ({
          specversion: '1.0',
          id,
          source: 'shop',
          type: 'order.weighed',
          data: { total: true },
        })),
      ),
    });
    expect(await answer.json()).toMatchObject({ quarantined: 2 });
  });
  const release = (version: string, total: string) =>
    apply({ 'contracts/order.yaml': contract(version, total) });

  it('are listed, and show versions, promises and differences', async () => {
    const page = await open('/contracts');
    const mode = page.getByRole('row', { name: /order\.weighed/ });
    await mode.getByText('BACKWARD by default').waitFor();
    await send('/api/v1/contract-settings/compatibility', { compatibility: 'FULL' }, 'PUT');
    await page.reload();
    await mode.getByText('FULL by default').waitFor();
    await send('/api/v1/contract-settings/compatibility', { compatibility: 'BACKWARD' }, 'PUT');
    await page.getByRole('link', { name: 'order.weighed' }).click();
    const versions = page.getByRole('region', { name: 'Versions' });
    await versions.getByRole('row', { name: /1\.0\.0/ }).waitFor();
    await page.getByRole('region', { name: 'Promises' }).getByText('ada (owner)').waitFor();
    const differences = page.getByRole('region', { name: 'Differences' });
    await differences.getByRole('cell', { name: '/schema/properties/total/type' }).waitFor();
    await differences.getByText('TYPE_NARROWED').waitFor();
    await page.getByRole('region', { name: 'Quality' }).waitFor();
    expect(await violations(page)).toEqual([]);
  });

  it('keep events apart, which people release or discard', async () => {
    const page = await open('/events?tab=quarantine');
    await page.getByRole('checkbox', { name: 'Choose kept-1' }).check();
    await page.getByRole('button', { name: 'Release (1)' }).click();
    await page.getByText('1 still do not fit.').waitFor();
    expect(await violations(page)).toEqual([]);
    await release('1.2.0', '[number, string, boolean]');
    await page.getByRole('checkbox', { name: 'Choose kept-1' }).check();
    await page.getByRole('button', { name: 'Release (1)' }).click();
    await page.getByRole('checkbox', { name: 'Choose kept-1' }).waitFor({ state: 'detached' });
    await page.getByRole('checkbox', { name: 'Choose kept-2' }).check();
    await page.getByRole('button', { name: 'Discard' }).click();
    const question = page.getByRole('dialog', { name: 'Discard 1 of them?' });
    expect(await question.getByRole('button', { name: 'Discard them' }).isDisabled()).toBe(true);
    await question.getByLabel('Reason to discard').fill('a test order');
    await question.getByRole('button', { name: 'Discard them' }).click();
    await page.getByText('Nothing in quarantine').waitFor();
  });
});
