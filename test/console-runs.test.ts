import { beforeAll, expect, it, vi } from 'vitest';
import { faultsInAllLooks } from './browser.ts';
import { CONSOLE_PROJECT } from './console-project.ts';
import { describeConsole } from './console-under-test.ts';

interface Items<Item> {
  items: Item[];
}

describeConsole('what people do about runs, in a browser', ({ open, ask, send, apply }) => {
  beforeAll(() => apply(CONSOLE_PROJECT));

  it('the dialog of a back-fill is drawn, fits in every look, and axe finds nothing', async () => {
    const page = await open('/runs/schedules');
    await page.getByRole('button', { name: 'Back-fill nightly' }).click();
    await page.getByRole('dialog').getByLabel('From').waitFor();
    expect(await faultsInAllLooks(page)).toEqual([]);
  });

  it('a past range of a schedule is made up for, once each', async () => {
    const page = await open('/runs/schedules');
    const fill = async () => {
      await page.getByRole('button', { name: 'Back-fill nightly' }).click();
      const dialog = page.getByRole('dialog');
      const start = dialog.getByRole('button', { name: 'Start the runs' });
      expect(await start.isDisabled()).toBe(true);
      await dialog.getByLabel('From').fill('2026-03-01T00:00');
      await dialog.getByLabel('Until, not included').fill('2026-03-04T00:00');
      await start.click();
      await dialog.getByRole('status').waitFor();
      const told = await dialog.getByRole('status').textContent();
      await dialog.getByRole('button', { name: 'Close' }).last().click();
      return told;
    };
    expect(await fill()).toBe('3 runs are started.');
    // One after the other: a time that still waits has no run yet.
    await vi.waitFor(
      async () => {
        const path = '/api/v1/runs?workflow=nightly&status=completed&limit=10';
        expect((await ask<Items<object>>(path)).items).toHaveLength(3);
      },
      { timeout: 20_000, interval: 100 },
    );
    expect(await fill()).toBe('No run is started; 3 of the times had one already.');
  });

  it('the answers of people are taken out as labels where quality is judged', async () => {
    const page = await open('/quality?queue=return-review');
    const link = page.getByRole('link', { name: 'Download' });
    const { items } = await ask<Items<{ id: string; contextDigest: string }>>(
      '/api/v1/tasks?queue=return-review&status=open&limit=1',
    );
    const [task] = items;
    expect(task).toBeDefined();
    if (task) {
      await send(`/api/v1/tasks/${task.id}/complete`, {
        result: { outcome: 'refund', reason: 'The records bear it out.' },
        contextDigest: task.contextDigest,
      });
      await page.reload();
    }
    const [download] = await Promise.all([page.waitForEvent('download'), link.click()]);
    expect(download.suggestedFilename()).toBe('return-review-labels.jsonl');
  });
});
