import { beforeAll, expect, it } from 'vitest';
import { logisticModel } from '../src/testing/onnx.ts';
import { violations } from './browser.ts';
import { describeConsole } from './console-under-test.ts';

const CREDIT = `
name: credit
file: credit.onnx
signature: { features: [age, orders], results: { score: { output: probabilities, column: 0 } } }
serving:
  log: { sample: 1, redact: [age] }
  cache: { ttlMs: 60000 }
`;

describeConsole('the requests of a model in the console', ({ open, send }) => {
  beforeAll(async () => {
    const base64 = Buffer.from(logisticModel([0.2, 0.4], 0)).toString('base64');
    await send('/api/v1/apply', {
      files: [
        { path: 'models/credit/model.yaml', text: CREDIT },
        { path: 'models/credit/credit.onnx', base64 },
      ],
    });
    const infer = (data: number[], datatype = 'FP32') =>
      send('/v2/models/credit/infer', { inputs: [{ name: 'features', datatype, shape: [1, 2], data }] });
    await infer([41, 2]);
    await infer([41, 2]);
    await infer([41, 2], 'FP64').catch(() => {});
  });

  it('are listed with what was answered, narrowed in the address, and opened without what is redacted', async () => {
    const page = await open('/models/credit');
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
  });
});
