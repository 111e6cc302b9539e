import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, expect, it } from 'vitest';
import { violations } from './browser.ts';
import { describeConsole } from './console-under-test.ts';

const FILES = {
  'entities/client.yaml': 'name: client\njoinKeys: [client]',
  'features/scores.yaml':
    'name: scores\nentity: client\nsource: { push: scores }\nfeatures: { score: { type: float64 } }',
  'datasets/clients.yaml':
    'name: clients\ndescription: Clients and what became of them.\nlicence: CC0-1.0\nviews: [scores]\nlabels: [returned]\nsplit: { by: time, train: 0.8, test: 0.2 }',
  'datasets/unmade.yaml': 'name: unmade\nviews: [scores]',
};
const MODEL = join(import.meta.dirname, '../examples/returns/models/return-risk/return-risk.onnx');

/** So many rows are long under way: it is canceled before. */
const MANY_ROWS = 2_000_000; // one million was made while the page was looked over

describeConsole('datasets in the console', ({ open, send, apply, product }) => {
  beforeAll(async () => {
    await apply(FILES);
    const time = (day: number) => new Date(Date.UTC(2026, 0, day)).toISOString();
    const row = (at: number) => ({ client: `c-${at % 7}`, timestamp: time(at + 2) });
    await send('/api/v1/features/push', {
      source: 'scores',
      rows: Array.from({ length: 7 }, (_, at) => ({
        client: `c-${at}`,
        score: at / 7,
        timestamp: time(1),
      })),
    });
    for (const length of [40, 50]) {
      const rows = Array.from({ length }, (_, at) => ({ ...row(at), returned: at % 4 === 0 }));
      await send('/api/v1/datasets/clients/versions?wait=30s', { rows });
    }
    const onnxBase64 = (await readFile(MODEL)).toString('base64');
    await send('/api/v1/models/client-risk/versions', {
      onnxBase64,
      datasets: [{ name: 'clients', version: 1 }],
    });
  });

  it('are listed, and one shows its versions, how its columns lie and the models trained on it', async () => {
    const page = await open('/');
    await page.getByRole('navigation', { name: 'Main' }).getByText('Datasets').click();
    await page.getByRole('row', { name: /clients .* v2 50/ }).waitFor();
    expect(await violations(page)).toEqual([]);
    await page.getByRole('link', { name: 'clients' }).click();
    await page.getByRole('heading', { name: 'Version 2' }).waitFor();
    await page.getByText('train 40, test 10').waitFor();
    await page.getByRole('img', { name: 'Distribution of score' }).waitFor();
    await page.getByRole('row', { name: /returned label boolean 0 % 2/ }).waitFor();
    expect(await violations(page)).toEqual([]);
    await page.getByRole('row', { name: /^v1 40/ }).click();
    await page.getByRole('link', { name: 'client-risk v1' }).click();
    await page.getByRole('heading', { name: 'client-risk' }).waitFor();
    await page.getByRole('link', { name: 'clients v1' }).click();
    await page.getByRole('heading', { name: 'Version 1' }).waitFor();
  });

  it('hand out their files', async () => {
    const page = await open('/datasets/clients');
    const href = await page.getByRole('link', { name: 'Datasheet' }).getAttribute('href');
    const sheet = await page.request.get(new URL(href!, page.url()).href);
    expect(await sheet.text()).toContain('# Datasheet: clients, version 2');
    const download = page.waitForEvent('download');
    await page.getByRole('link', { name: 'CSV' }).click();
    expect((await download).suggestedFilename()).toBe('clients-2.csv');
  });

  it('say how a first version is made', async () => {
    const page = await open('/datasets/unmade');
    await page.getByText('aios datasets create unmade').waitFor();
    expect(await violations(page)).toEqual([]);
  });

  async function upload(body: string): Promise<void> {
    const { url, key } = product();
    const response = await fetch(`${url}/api/v1/datasets/unmade/versions/upload?format=csv`, {
      method: 'POST',
      headers: { authorization: `Bearer ${key}`, 'content-type': 'text/csv' },
      body,
    });
    expect(response.status).toBe(202);
  }

  it('are watched while they are made, and end when somebody says so', async () => {
    await upload('client,when\nc-1,now\n');
    const page = await open('/datasets/unmade');
    await page.getByRole('row', { name: /failed Row 1 has no timestamp/ }).waitFor();
    await upload(`client,timestamp\n${'c-1,2026-01-02T00:00:00Z\n'.repeat(MANY_ROWS)}`);
    const row = page.getByRole('row', { name: /^running/ });
    await row.getByRole('progressbar', { name: 'Progress of unmade' }).waitFor();
    await row.getByText(/ of 2M/).waitFor();
    await row.getByRole('button', { name: 'Cancel unmade' }).click();
    const question = page.getByRole('dialog', { name: 'Cancel this version?' });
    await question.getByRole('button', { name: 'Cancel the version' }).waitFor();
    expect(await violations(page)).toEqual([]);
    await question.getByRole('button', { name: 'Cancel the version' }).click();
    await page.getByRole('row', { name: /^canceled/ }).waitFor();
    expect(await row.count()).toBe(0);
  });
});
