import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import pg from 'pg';
import { beforeAll, expect, it } from 'vitest';
import { faultsInAllLooks, violations } from './browser.ts';
import { describeConsole } from './console-under-test.ts';

const FILES = {
  'entities/client.yaml': 'name: client\njoinKeys: [client]',
  'features/scores.yaml':
    'name: scores\nentity: client\nsource: { push: scores }\nfeatures: { score: { type: float64 } }',
  'services/clients.yaml': 'name: clients\nviews: [scores]',
};
const ROW = 'c-1,2026-01-02T00:00:00Z\n';

async function filesIn(folder: string): Promise<Record<string, string>> {
  await writeFile(join(folder, 'few.csv'), `client,timestamp\n${ROW.repeat(3)}`);
  await writeFile(join(folder, 'keyless.csv'), 'name,timestamp\nx,2026-01-02T00:00:00Z\n');
  await writeFile(join(folder, 'held.csv'), `client,timestamp\n${ROW.repeat(3)}`);
  return { AIOS_FEATURE_FOLDERS: folder };
}

describeConsole(
  'historical joins of files in the console',
  ({ database, open, send, apply }) => {
    beforeAll(async () => {
      await apply(FILES);
      const rows = [{ client: 'c-1', score: 0.25, timestamp: '2026-01-01T00:00:00Z' }];
      await send('/api/v1/features/push', { source: 'scores', rows });
    });

    const start = (name: string) =>
      send('/api/v1/features/joins', {
        service: 'clients',
        entities: `${name}.csv`,
        out: `${name}.parquet`,
      });

    it('are listed with what came of them, and why one failed', async () => {
      const page = await open('/features');
      await page.getByText('aios features historical').waitFor();
      await start('few');
      await start('keyless');
      await page.reload();
      await page.getByRole('row', { name: /done few\.parquet few\.csv with clients 3/ }).waitFor();
      await page.getByRole('row', { name: /failed .*no column client/ }).waitFor();
      expect(await faultsInAllLooks(page)).toEqual([]);
    });

    /** Nothing is read of what was pushed until `release`: a join waits there, however slow the machine is. */
    async function holdPushedRows(): Promise<{ release(): Promise<void> }> {
      const holder = new pg.Client({ connectionString: database().url });
      await holder.connect();
      await holder.query('begin; lock table feature_pushed in access exclusive mode');
      return { release: () => holder.end() };
    }

    it('are watched while they run, and end when somebody says so', async () => {
      const held = await holdPushedRows();
      try {
        await start('held');
        const page = await open('/features');
        const row = page.getByRole('row', { name: /held\.parquet/ });
        const bar = row.getByRole('progressbar', { name: 'Progress of held.parquet' });
        await bar.waitFor({ state: 'attached' }); // of no width yet
        await row.getByText('0 of 3').waitFor();
        await row.getByRole('button', { name: 'Cancel held.parquet' }).focus();
        await page.keyboard.press('Enter');
        const question = page.getByRole('dialog', { name: 'Cancel this join?' });
        await question.getByRole('button', { name: 'Cancel the join' }).waitFor();
        expect(await violations(page)).toEqual([]);
        await question.getByRole('button', { name: 'Cancel the join' }).click();
        await row.getByText('canceled').waitFor();
        expect(await row.getByRole('button', { name: /^Cancel/ }).count()).toBe(0);
      } finally {
        await held.release();
      }
    });
  },
  filesIn,
);
