import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import {
  browserPath,
  faultsInAllLooks,
  openBrowser,
  openSignedIn,
  type Started,
  startProduct,
  violations,
} from './browser.ts';

const MODEL = join(import.meta.dirname, '../examples/returns/models/return-risk/return-risk.onnx');
// It goes on once the file is there that it is told of.
const TRAINER = `
import { copyFileSync, existsSync, writeFileSync } from 'node:fs';
const { AIOS_OUTPUT_DIR: out, GO: go } = process.env;
console.log('read the rows');
console.error('one column has no values');
while (!existsSync(go)) await new Promise((next) => setTimeout(next, 50));
for (let step = 0; step < 400; step++) console.log('step ' + step + ' ' + '.'.repeat(1000));
const lines = [0.9, 0.5, 0.25].map((value, step) => JSON.stringify({ key: 'loss', value, step }));
writeFileSync(out + '/metrics.jsonl', lines.join('\\n'));
copyFileSync(${JSON.stringify(MODEL)}, out + '/model.onnx');
console.log('wrote the model');
`;
const FLOW = `
document: { dsl: 1.0.0, namespace: test, name: learn, version: 1.0.0 }
evaluate: { language: cel }
do:
  - train:
      call: train:1@default
      with: { trainer: slow, model: learned, experiment: Return risk, parameters: { depth: 6 } }
`;

describe.skipIf(!browserPath)(
  `training in the console${browserPath ? '' : ' (skipped: no chromium here)'}`,
  () => {
    let product: Started;
    let browser: Browser;
    let folder: string;
    let flowRun: string;
    const contexts: BrowserContext[] = [];

    beforeAll(async () => {
      folder = await mkdtemp(join(tmpdir(), 'aios-console-training-'));
      await writeFile(join(folder, 'train.mjs'), TRAINER);
      const trainers = {
        slow: {
          command: [process.execPath, join(folder, 'train.mjs')],
          environment: { GO: join(folder, 'go') },
        },
      };
      await writeFile(join(folder, 'trainers.yaml'), JSON.stringify({ trainers }));
      product = await startProduct({ AIOS_TRAINERS: join(folder, 'trainers.yaml') });
      browser = await openBrowser();
      await send('/api/v1/apply', { files: [{ path: 'workflows/learn.yaml', text: FLOW }] });
      flowRun = (await send<{ id: string }>('/api/v1/workflows/learn/runs', { input: {} })).id;
    });
    afterAll(async () => {
      await browser?.close();
      await product?.stop();
      await rm(folder, { recursive: true, force: true });
    });
    afterEach(() => Promise.all(contexts.splice(0).map((context) => context.close())));

    const send = <Answer>(path: string, body: object) =>
      product.api<Answer>(path, { method: 'POST', body: JSON.stringify(body) });

    async function open(path: string): Promise<Page> {
      const page = await openSignedIn(browser, product, path);
      contexts.push(page.context());
      return page;
    }

    /** As a training script says it by MLflow. */
    async function track(name: string, depth: number, losses: readonly number[]): Promise<void> {
      const { experiment } = await product.api<{ experiment: { experiment_id: string } }>(
        '/api/2.0/mlflow/experiments/get-by-name?experiment_name=Return%20risk',
      );
      const { run } = await send<{ run: { info: { run_id: string } } }>('/api/2.0/mlflow/runs/create', {
        experiment_id: experiment.experiment_id,
        run_name: name,
        start_time: Date.now(),
      });
      const { run_id } = run.info;
      const metrics = losses.map((value, step) => ({ key: 'loss', value, step, timestamp: Date.now() }));
      const params = [{ key: 'depth', value: String(depth) }];
      await send('/api/2.0/mlflow/runs/log-batch', { run_id, metrics, params });
      await send('/api/2.0/mlflow/runs/update', { run_id, status: 'FINISHED', end_time: Date.now() });
    }

    it('is followed on the page of its run: what the command writes, the newest of it', async () => {
      const page = await open(`/runs/${flowRun}`);
      const log = page.getByRole('region', { name: 'What the training wrote' });
      await log.getByText('read the rows').waitFor();
      await log.getByText('one column has no values').waitFor();
      const followed = (each: Page) => each.getByText('read the rows').waitFor();
      expect(await faultsInAllLooks(browser, product, `/runs/${flowRun}`, followed)).toEqual([]);
      await writeFile(join(folder, 'go'), '');
      await log.getByText('wrote the model').waitFor();
      // 400 kB were written: the beginning is not on the page any more.
      await page.getByText('Earlier lines are left out').waitFor();
      expect(await log.getByText('read the rows').count()).toBe(0);
      await page.getByText('completed').first().waitFor();
    });

    it('is compared run by run, ordered by a metric in the address, with a chart of the chosen ones', async () => {
      await track('deep', 9, [0.8, 0.3, 0.1]);
      await track('flat', 2, [0.8, 0.7, 0.6]);
      const page = await open('/models');
      await page.getByRole('main').getByRole('link', { name: 'Experiments' }).click();
      await page.getByRole('row', { name: /Return risk/ }).waitFor();
      expect(await violations(page)).toEqual([]);
      await page.getByRole('link', { name: 'Return risk' }).click();
      await page.getByRole('link', { name: 'learned v1' }).waitFor();
      const first = () =>
        page
          .getByRole('table', { name: 'Training runs' })
          .getByRole('checkbox')
          .first()
          .getAttribute('aria-label');
      await page.getByRole('button', { name: 'loss' }).click();
      await page
        .getByRole('columnheader', { name: 'loss' })
        .and(page.locator('[aria-sort=descending]'))
        .waitFor();
      await expect.poll(first, { timeout: 15_000 }).toBe('Show flat in the chart');
      await page.getByRole('button', { name: 'loss' }).focus();
      await page.keyboard.press('Enter');
      await expect.poll(first, { timeout: 15_000 }).toBe('Show deep in the chart');
      await page.getByRole('img', { name: /loss by step.*deep: 3 values from 0.8 to 0.1/ }).waitFor();
      const drawn = (each: Page) =>
        each
          .getByRole('img', { name: /loss by step/ })
          .locator('svg')
          .waitFor();
      const path = '/experiments/Return%20risk';
      expect(await faultsInAllLooks(browser, product, path, drawn)).toEqual([]);
      await page.getByRole('checkbox', { name: 'Show flat in the chart' }).uncheck();
      await page.getByRole('img', { name: /^(?!.*flat).*deep: 3 values/ }).waitFor();
      const shared = await open(new URL(page.url()).pathname + new URL(page.url()).search);
      await shared.getByRole('img', { name: /^(?!.*flat).*deep: 3 values/ }).waitFor();
      expect(await shared.getByRole('checkbox', { name: 'Show flat in the chart' }).isChecked()).toBe(false);
      await shared.getByLabel('Filter').fill("params.depth = '2'");
      await shared.keyboard.press('Enter');
      await shared.getByText('No run is chosen').waitFor();
      await shared.getByLabel('Filter').fill('params.depth >');
      await shared.keyboard.press('Enter');
      await shared.getByText('experiments.filter_invalid').waitFor();
      await page.getByRole('link', { name: 'learned v1' }).click();
      await page.getByRole('heading', { name: 'learned' }).waitFor();
    });
  },
);
