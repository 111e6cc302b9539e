import { expect, it } from 'vitest';
import { violations } from './browser.ts';
import { describeConsole } from './console-under-test.ts';

describeConsole('lineage in the console', ({ open }) => {
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
});
