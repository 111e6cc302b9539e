import { expect, it } from 'vitest';
import { violations } from './browser.ts';
import { describeConsole } from './console-under-test.ts';

describeConsole('the change of a definition in the console', ({ open, ask }) => {
  it('tells what depends on it and what would break, and is applied after that only', async () => {
    const page = await open('/contracts/order.placed');
    await page.getByRole('main').getByRole('link', { name: 'Change', exact: true }).click();
    const dependents = page.getByRole('table', { name: 'What depends on this' });
    await dependents.getByRole('row', { name: /^feature customer-orders\.spend_30d/ }).waitFor();
    const editor = page.getByLabel('Text of the definition');
    const source = await editor.inputValue();
    expect(await page.getByRole('button', { name: 'Apply' }).count()).toBe(0);
    expect(await violations(page)).toEqual([]);

    // A field of another name: what reads it breaks.
    const changed = source.replace(/^version: (\d+)\./m, (_, major) => `version: ${Number(major) + 1}.`);
    await editor.fill(changed.replaceAll(/\btotal\b/g, 'amount').replace('BACKWARD', 'NONE'));
    await page.getByRole('button', { name: 'What would this change?' }).click();
    const report = page.getByRole('region', { name: 'What depends on contract order.placed' });
    await report.getByText('field:order.placed#total removed').waitFor();
    await report.getByRole('row', { name: /^feature:customer-orders\.spend_30d breaks/ }).waitFor();
    await page.getByRole('button', { name: 'Apply' }).waitFor();
    expect(await violations(page)).toEqual([]);

    // What is written on was not looked at.
    await editor.fill(`${source}\n# a remark\n`);
    await report.waitFor({ state: 'detached' });
    await page.getByRole('button', { name: 'What would this change?' }).click();
    await page.getByText('contract order.placed is unchanged.').waitFor();
    expect(await page.getByRole('button', { name: 'Apply' }).count()).toBe(0);
  });

  it('is applied as a new version', async () => {
    const page = await open('/change');
    await page.getByText('Choose a definition').waitFor();
    await page.getByRole('combobox', { name: 'Kind' }).click();
    await page.getByRole('option', { name: 'entity', exact: true }).click();
    await page.getByRole('combobox', { name: 'Name' }).click();
    await page.getByRole('option', { name: 'customer', exact: true }).click();
    const editor = page.getByLabel('Text of the definition');
    await editor.waitFor();
    await editor.fill('name: customer\njoinKeys: [customer]\ndescription: Told in the console');
    await page.getByRole('button', { name: 'What would this change?' }).click();
    await page.getByText(/^entity customer changes: version \d+\.$/).waitFor();
    await page.getByRole('button', { name: 'Apply' }).click();
    const applied = () => ask<{ body: { description?: string } }>('/api/v1/entities/customer');
    await expect
      .poll(async () => (await applied()).body.description, { timeout: 20_000 })
      .toBe('Told in the console');
  });

  it('says what is wrong with a text', async () => {
    const page = await open('/change?kind=workflow&name=returns');
    const editor = page.getByLabel('Text of the definition');
    await editor.fill('document: { dsl: 1.0.3 }');
    await page.getByRole('button', { name: 'What would this change?' }).click();
    await page.getByRole('alert').waitFor();
    expect(await violations(page)).toEqual([]);
  });
});
