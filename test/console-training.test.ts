import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, expect, it } from 'vitest';
import { faultsInAllLooks, violations } from './browser.ts';
import { describeConsole } from './console-under-test.ts';

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

async function trainersIn(folder: string): Promise<Record<string, string>> {
  const script = join(folder, 'train.mjs');
  await writeFile(script, TRAINER);
  const slow = { command: [process.execPath, script], environment: { GO: join(folder, 'go') } };
  const file = join(folder, 'trainers.yaml');
  await writeFile(file, JSON.stringify({ trainers: { slow } }));
  return { AIOS_TRAINERS: file };
}

describeConsole(
  'training in the console',
  ({ folder, open, ask, send, apply }) => {
    let flowRun: string;

    beforeAll(async () => {
      await apply({ 'workflows/learn.yaml': FLOW });
      flowRun = (await send<{ id: string }>('/api/v1/workflows/learn/runs', { input: {} })).id;
    });

    /** As a training script says it by MLflow. */
    async function track(name: string, depth: number, losses: readonly number[]): Promise<string> {
      const { experiment } = await ask<{ experiment: { experiment_id: string } }>(
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
      return `${experiment.experiment_id}/runs/${run_id}`;
    }

    it('is followed on the page of its run: what the command writes, the newest of it', async () => {
      const page = await open(`/runs/${flowRun}`);
      const log = page.getByRole('region', { name: 'What the training wrote' });
      await log.getByText('read the rows').waitFor();
      await log.getByText('one column has no values').waitFor();
      expect(await faultsInAllLooks(page)).toEqual([]);
      await writeFile(join(folder(), 'go'), '');
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
      const drawn = () =>
        page
          .getByRole('img', { name: /loss by step/ })
          .locator('svg')
          .waitFor();
      expect(await faultsInAllLooks(page, drawn)).toEqual([]);
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

    it('is looked at run by run, from the link that MLflow’s client prints too', async () => {
      const outer = await track('search', 1, [0.5]);
      const trial = await track('trial', 4, [0.5, 0.25]);
      const [experiment, , run] = trial.split('/');
      const parent = outer.split('/')[2]!;
      await send('/api/2.0/mlflow/runs/set-tag', {
        ...{ run_id: run, key: 'mlflow.parentRunId', value: parent },
      });
      const dataset = { name: 'returns', digest: '0a1b', source_type: 'local', source: '{}' };
      const tags = [{ key: 'mlflow.data.context', value: 'training' }];
      await send('/api/2.0/mlflow/runs/log-inputs', { run_id: run, datasets: [{ dataset, tags }] });
      const files = `/api/2.0/mlflow-artifacts/artifacts/${experiment}/${run}/artifacts`;
      await send(`${files}/plots/${encodeURIComponent('a 100% näher.json')}`, { a: 1 }, 'PUT');
      const page = await open(`/#/experiments/${trial}`);
      await page.getByRole('heading', { name: 'trial', exact: true }).waitFor();
      expect(new URL(page.url()).pathname).toBe(`/experiments/runs/${run}`);
      await page.getByRole('img', { name: /loss by step.*trial: 2 values from 0.5 to 0.25/ }).waitFor();
      await page.getByRole('row', { name: 'depth 4' }).waitFor();
      await page.getByRole('row', { name: 'returns training 0a1b local' }).waitFor();
      await page.getByRole('link', { name: 'plots/' }).click();
      const download = page.waitForEvent('download');
      await page.getByRole('link', { name: 'a 100% näher.json' }).click();
      expect(JSON.parse(await readFile(await (await download).path(), 'utf8'))).toEqual({ a: 1 });
      await page.getByRole('row', { name: 'Part of' }).getByRole('link').click();
      await page.getByRole('heading', { name: 'search', exact: true }).waitFor();
      await page
        .getByRole('region', { name: 'Runs within it' })
        .getByRole('link', { name: 'trial' })
        .waitFor();
      await page.goto(new URL(`/#/experiments/${experiment}`, page.url()).href);
      await page.getByRole('heading', { name: 'Return risk' }).waitFor();
      await page.getByRole('link', { name: 'trial' }).click();
      await page.getByRole('row', { name: 'Part of' }).waitFor();
    });
  },
  trainersIn,
);
