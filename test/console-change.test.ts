import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Page } from 'playwright-core';
import { expect, it } from 'vitest';
import { faultsInAllLooks, violations } from './browser.ts';
import { describeConsole } from './console-under-test.ts';

/**
 * Until the page says that a change is applied, or why it is not. The time of the test is its bound: a model is started to be verified, which took
 * 0.6 s on two cores and 9 s beside six processes that kept them busy.
 */
async function applied(page: Page, told: string | RegExp): Promise<void> {
  const fault = page.locator('main').getByRole('alert');
  await page.getByText(told).or(fault).first().waitFor({ timeout: 0 });
  expect(await fault.allInnerTexts()).toEqual([]);
}

describeConsole('the change of a definition in the console', ({ open, ask, apply }) => {
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
    await applied(page, /^entity customer is now version \d+$/);
    const { body } = await ask<{ body: { description?: string } }>('/api/v1/entities/customer');
    expect(body.description).toBe('Told in the console');
  });

  it('says what is wrong with a text', async () => {
    const page = await open('/change?kind=workflow&name=returns');
    const editor = page.getByLabel('Text of the definition');
    await editor.fill('document: { dsl: 1.0.3 }');
    await page.getByRole('button', { name: 'What would this change?' }).click();
    await page.getByRole('alert').getByText('workflows/returns.yaml:1').first().waitFor();
    expect(await violations(page)).toEqual([]);
  });

  it('takes the code of a view, which is kept with it, and the file of a model', async () => {
    const code = 'export const double = ({ request }) => request.amount * 2;\n';
    await apply({
      'features/doubled.yaml':
        'name: doubled\nsource: { views: [], request: { amount: float64 } }\nmodule: doubled.ts\nfeatures: { double: { type: float64 } }\n',
      'features/doubled.ts': code,
    });
    const page = await open('/change?kind=feature-view&name=doubled');
    const text = page.getByLabel('Text of features/doubled.ts');
    expect(await text.inputValue()).toBe(code);
    await text.fill(code.replace('* 2', '* 3'));
    await page.getByRole('button', { name: 'What would this change?' }).click();
    await page.getByText('feature-view doubled changes: version 2.').waitFor();
    expect(await faultsInAllLooks(page)).toEqual([]);
    await page.getByRole('button', { name: 'Apply' }).click();
    await applied(page, 'feature-view doubled is now version 2');
    const { body } = await ask<{ body: { code: string } }>('/api/v1/feature-views/doubled');
    expect(body.code).toContain('* 3');

    // What is written while picked files are read stays, and so do files that were picked meanwhile.
    await page.goto(new URL('/change?kind=feature-view&name=doubled', page.url()).href);
    await text.waitFor();
    await page.evaluate(`{
      const read = File.prototype.text;
      const opened = new Promise((open) => document.addEventListener('files-may-be-read', open));
      File.prototype.text = async function () {
        await opened;
        return read.call(this);
      };
    }`);
    for (const name of ['one.md', 'two.md']) {
      const buffer = Buffer.from(name);
      await page.locator('input[type=file]').setInputFiles({ name, mimeType: 'text/markdown', buffer });
    }
    await text.fill(`${code}// written meanwhile\n`);
    await page.evaluate(`document.dispatchEvent(new Event('files-may-be-read'))`);
    for (const name of ['one.md', 'two.md']) await page.getByLabel(`Text of features/${name}`).waitFor();
    expect(await text.inputValue()).toBe(`${code}// written meanwhile\n`);

    // A model names its file and its card: what is missing is told by its path.
    await page.goto(new URL('/models/return-risk', page.url()).href);
    await page.getByRole('main').getByRole('link', { name: 'Change', exact: true }).click();
    const source = await page.getByLabel('Text of the definition').inputValue();
    await page
      .getByLabel('Text of the definition')
      .fill(source.replace(/^description: .*$/m, 'description: told here'));
    const question = page.getByRole('button', { name: 'What would this change?' });
    await question.click();
    await page.getByRole('alert').getByText('models/return-risk/return-risk.onnx').first().waitFor();
    const folder = join(import.meta.dirname, '../examples/returns/models/return-risk');
    const files = readdirSync(folder).filter((file) => /\.(onnx|md)$/.test(file));
    await page.locator('input[type=file]').setInputFiles(files.map((file) => join(folder, file)));
    await page.getByLabel('Path of models/return-risk/return-risk.onnx').waitFor();
    await question.click();
    await page.getByText('model return-risk changes: version 2.').waitFor();
    expect(await faultsInAllLooks(page)).toEqual([]);
    await page.getByRole('button', { name: 'Apply' }).click();
    await applied(page, 'model return-risk is now version 2');
    const model = await ask<{ body: { description?: string } }>('/api/v1/model-definitions/return-risk');
    expect(model.body.description).toBe('told here');
  });
});
