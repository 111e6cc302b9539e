import { beforeAll, expect, it, vi } from 'vitest';
import { faultsInAllLooks, violations } from './browser.ts';
import { CONSOLE_PROJECT } from './console-project.ts';
import { describeConsole } from './console-under-test.ts';

interface Task {
  id: string;
  runId: string;
  title: string;
  status: string;
  decidedBy?: string;
  contextDigest: string;
}
interface Items<Item> {
  items: Item[];
}

const REASON = 'The records bear the customer out.';

describeConsole('the console, in a browser', ({ product, open, openStranger, ask, send, apply }) => {
  beforeAll(async () => {
    await apply(CONSOLE_PROJECT);
    await vi.waitFor(async () => expect((await waiting()).length).toBeGreaterThan(3), {
      timeout: 30_000,
      interval: 200,
    });
  });

  const waiting = async () => (await ask<Items<Task>>('/api/v1/tasks?status=open&limit=50')).items;

  it('the link of the banner logs in, once; the first page shows what is decided and what waits', async () => {
    const context = await openStranger();
    const page = await context.newPage();
    await page.goto(product().loginUrl!);
    await page.getByText('Without a person').waitFor();
    expect(new URL(page.url()).pathname).toBe('/');
    await page.getByRole('region', { name: 'Waiting for a person' }).getByText('Return of').first().waitFor();
    await page.getByRole('region', { name: 'Latest' }).getByText('completed').first().waitFor();
    const again = await context.request.get(product().loginUrl!, { maxRedirects: 0 });
    expect(again.status()).toBe(401);
  });

  it('whoever has no session is told how to get one, and a key gives one', async () => {
    const context = await openStranger();
    const page = await context.newPage();
    await page.goto(`${product().url}/runs`);
    await page.getByLabel('Or paste an API key').fill('aios_key_wrong');
    await page.getByRole('button', { name: 'Log in' }).click();
    await page.getByRole('alert').getByText('Paste a whole key, which begins with “aios_”').waitFor();
    expect(await faultsInAllLooks(page)).toEqual([]);
    await page.getByLabel('Or paste an API key').fill(product().key);
    await page.getByRole('button', { name: 'Log in' }).click();
    await page.getByRole('heading', { name: 'Runs' }).waitFor();
    await page.getByRole('button', { name: /^Account/ }).click();
    await page.getByRole('menuitem', { name: 'Log out' }).click();
    await page.getByRole('heading', { name: 'Log in to AIOS' }).waitFor();
  });

  it('a run is drawn, fits in every look, and axe finds nothing', async () => {
    const { items } = await ask<Items<{ id: string }>>(
      '/api/v1/runs?workflow=returns&status=completed&limit=1',
    );
    const page = await open(`/runs/${items[0]!.id}`);
    await page.getByRole('heading', { name: 'Timeline' }).waitFor();
    const drawn = () => page.getByRole('group', { name: /^decide: completed/ }).waitFor();
    expect(await faultsInAllLooks(page, drawn)).toEqual([]);
  });

  it('filters of runs stand in the address; a row opens its run, and a step says why', async () => {
    const page = await open('/runs?workflow=returns&status=completed');
    await page
      .getByRole('link', { name: /return/ })
      .first()
      .click();
    await page.waitForURL(/\/runs\/run_/);
    await page.getByRole('button', { name: /decide/ }).click();
    await page.waitForURL(/step=decide/);
    await page.getByText(/^Rule “/).waitFor();
    await page.getByRole('cell', { name: 'feature-service' }).waitFor();
    await page.goBack();
    expect(new URL(page.url()).search).toBe('?workflow=returns&status=completed');
    await page.getByRole('textbox', { name: /^Search/ }).fill('no such case');
    await page.getByText('No run fits these filters').waitFor();
    expect(new URL(page.url()).searchParams.get('q')).toBe('no such case');
  });

  it('a run is done again from a step with another input, and its first attempt stays to be read', async () => {
    const { items } = await ask<Items<{ id: string }>>(
      '/api/v1/runs?workflow=returns&status=completed&limit=1',
    );
    const { id } = items[0]!;
    const page = await open(`/runs/${id}?step=decide`);
    await page.getByRole('button', { name: 'Rerun from here' }).click();
    await page.getByRole('dialog').getByText('is kept; it and all that follows').waitFor();
    await page.getByRole('button', { name: 'In this run' }).click();
    await page.getByText('attempt 2').waitFor();
    await page.getByRole('link', { name: 'Attempt 1' }).click();
    await page.waitForURL(/attempt=/);
    await page.getByRole('link', { name: 'Back to the present attempt' }).click();
    await expect
      .poll(() => ask<{ attempt: number }>(`/api/v1/runs/${id}`).then(({ attempt }) => attempt))
      .toBe(2);
  });

  it('runs are picked, counted, and acted on together', async () => {
    const page = await open('/runs?workflow=returns&status=completed');
    const rows = page.getByRole('checkbox', { name: /^Select / });
    await rows.first().check();
    await rows.nth(1).check();
    const bar = page.getByRole('region', { name: 'Selected runs' });
    await bar.getByText('2 selected').waitFor();
    expect(await violations(page)).toEqual([]);
    await bar.getByRole('button', { name: 'Pause' }).click();
    await page.getByText('None of them is in a state for this.').waitFor();
    await page.getByRole('button', { name: 'Leave them' }).click();
    await rows.first().check();
    await bar.getByRole('button', { name: 'Delete' }).click();
    await page.getByRole('button', { name: 'Delete 1' }).click();
    await page.getByText('Done: 1 of 1').waitFor();
    expect(await violations(page)).toEqual([]);
  });

  it('a queue of runs is paused under runs, shows who waits in it, and goes on', async () => {
    const page = await open('/runs');
    await page.getByRole('link', { name: 'Queues' }).click();
    await page.waitForURL(/\/runs\/queues$/);
    const row = page.getByRole('row', { name: /narrow/ });
    await row.getByText('1 at once').waitFor();
    await row.getByRole('button', { name: 'Pause narrow' }).click();
    await row.getByText('paused').waitFor();
    const { id } = await send<{ id: string }>('/api/v1/workflows/queued/runs', {});
    await row.getByRole('cell', { name: '1', exact: true }).waitFor();
    const run = await open(`/runs/${id}`);
    await run.getByText('waits in narrow, 0 before it').waitFor();
    await row.getByRole('button', { name: 'Resume narrow' }).click();
    await run.getByText('completed').first().waitFor();
  });

  it('what starts by time is found under runs, is paused there and goes on', async () => {
    const page = await open('/runs');
    await page.getByRole('link', { name: 'Schedules' }).click();
    await page.waitForURL(/\/runs\/schedules$/);
    const row = page.getByRole('row', { name: /nightly/ });
    await row.getByText(/^in \d+/).waitFor();
    await row.getByRole('button', { name: 'Pause nightly' }).click();
    await row.getByText('paused').waitFor();
    const { items } = await ask<Items<{ paused: boolean }>>('/api/v1/schedules');
    expect(items).toMatchObject([{ workflow: 'nightly', paused: true }]);
    await row.getByRole('button', { name: 'Resume nightly' }).click();
    await row.getByText(/^in \d+/).waitFor();
    await row.getByRole('link', { name: 'nightly' }).click();
    await page.waitForURL(/workflow=nightly/);
  });

  it('a case is claimed and decided by keyboard alone, and its run goes on', async () => {
    const page = await open('/inbox');
    await page.getByRole('navigation', { name: 'Tasks' }).waitFor();
    await page.keyboard.press('j');
    await page.waitForURL(/task=/);
    const id = new URL(page.url()).searchParams.get('task')!;
    await page.keyboard.press('c');
    await page.getByText('yours').waitFor();
    await page.keyboard.press('Control+Enter');
    await page.getByText('Answer is missing').waitFor();
    await page.keyboard.press('a');
    await page.keyboard.type(REASON);
    await page.keyboard.press('Control+Enter');
    await page.getByText('Answered').waitFor();
    const task = await ask<Task & { result: unknown }>(`/api/v1/tasks/${id}`);
    expect(task).toMatchObject({
      status: 'completed',
      decidedBy: 'admin',
      result: { outcome: 'refund', reason: REASON },
    });
    await expect
      .poll(() => ask(`/api/v1/runs/${task.runId}`))
      .toMatchObject({ status: 'completed', outcome: 'refund' });
  });

  it('a case is written about, gets a file, goes to a colleague and back, and is put off', async () => {
    const colleague = { name: 'Ann Weber', roles: ['reviewer'] };
    await send('/api/v1/keys', colleague);
    const task = (await waiting()).at(-1)!;
    const page = await open(`/inbox?task=${task.id}`);
    const happened = page.getByRole('region', { name: 'What happened' });
    await happened.getByText('the case came').waitFor();
    await happened.getByRole('textbox', { name: 'Write a comment' }).fill('The shop was asked.');
    await page.keyboard.press('Control+Enter');
    await happened.getByRole('listitem').getByText('The shop was asked.').waitFor();
    const file = { name: 'receipt.txt', mimeType: 'text/plain', buffer: Buffer.from('paid') };
    await page.getByLabel('File to attach').setInputFiles(file);
    const link = happened.getByRole('link', { name: /receipt\.txt/ }).first();
    const [download] = await Promise.all([page.waitForEvent('download'), link.click()]);
    expect(download.suggestedFilename()).toBe('receipt.txt');
    await page.getByRole('button', { name: 'Claim' }).click();
    await page.getByText('yours').waitFor();
    await page.keyboard.press('d');
    await page.getByRole('combobox', { name: 'Who' }).selectOption('Ann Weber');
    expect(await violations(page)).toEqual([]);
    await page.getByRole('button', { name: 'Hand to a colleague', exact: true }).click();
    await happened.getByText('handed it to Ann Weber').waitFor();
    await page.getByText('Ann Weber has this case in hand.').waitFor();
    await page.getByRole('button', { name: 'More to do with this case' }).click();
    await page.getByRole('menuitem', { name: 'Take back from Ann Weber' }).click();
    await page.getByText('yours').waitFor();
    await page.keyboard.press('f');
    await page.locator('button:focus', { hasText: 'In an hour' }).waitFor();
    await page.getByRole('button', { name: 'In a week' }).click();
    await page.getByText('Put off').waitFor();
    await page.waitForURL((url) => url.searchParams.get('task') !== task.id);
    const row = page.getByRole('navigation', { name: 'Tasks' }).locator(`[id="task ${task.id}"]`);
    await row.waitFor({ state: 'detached' });
    expect(await ask<Task>(`/api/v1/tasks/${task.id}`)).toMatchObject({
      followUpAt: expect.any(String),
      claimedBy: 'admin',
    });
  });

  it('the inbox speaks of cases, not of the engine', async () => {
    const page = await open('/inbox');
    await page.getByRole('button', { name: 'Claim' }).waitFor();
    const words = await page.locator('#main').innerText();
    expect(words).not.toMatch(/\b(run|runs|step|epoch|workflow|lease|barrier)\b/i);
  });

  it('a page of a run follows it while it goes on', async () => {
    const task = (await waiting()).at(-1)!;
    const page = await open(`/runs/${task.runId}`);
    await page.getByRole('heading', { level: 1 }).locator('..').getByText('waiting').waitFor();
    await send(`/api/v1/tasks/${task.id}/complete`, {
      result: { outcome: 'refuse', reason: REASON },
      contextDigest: task.contextDigest,
    });
    await page.getByRole('heading', { level: 1 }).locator('..').getByText('refuse').waitFor();
    await page.getByRole('group', { name: /^ask: completed/ }).waitFor();
  });

  it('a dead letter says why, and is handed again once its cause is gone', async () => {
    await applyBroken('int(data.thing)');
    const body = {
      specversion: '1.0',
      id: 'b-1',
      source: 'urn:test',
      type: 'test.broken',
      data: { thing: 'one', x: 1 },
    };
    await send('/api/v1/events', body);
    const page = await open('/events?tab=dead-letters');
    const row = page.getByRole('row', { name: /test\.broken/ });
    await row.getByText('expression.failed').waitFor();
    await row.getByRole('checkbox').check();
    await page.getByRole('button', { name: 'Hand again (1)' }).click();
    await page.getByText('1 failed again').waitFor();
    await applyBroken('data.x');
    await row.getByRole('checkbox').check();
    await page.getByRole('button', { name: 'Hand again (1)' }).click();
    await page.getByText('No dead letter').waitFor();
    const online = { views: ['broken'], entities: [{ thing: 'one' }] };
    await expect
      .poll(() => send('/api/v1/features/online', online).then((answer) => JSON.stringify(answer)))
      .toContain('"rows":[[1]]');
  });

  /** A view of features that takes a number out of each event by an expression. */
  function applyBroken(of: string): Promise<unknown> {
    return apply({
      'contracts/test.broken.yaml':
        'name: test.broken\nversion: 1.0.0\nowner: test\nschema: { type: object }\n',
      'entities/thing.yaml': 'name: thing\njoinKeys: [thing]\n',
      'features/broken.yaml': `name: broken\nentity: thing\nowner: test\nsource: { event: test.broken }\nkeys: { thing: data.thing }\nfeatures: { sum: { aggregate: sum, of: ${of} } }\n`,
    });
  }

  it('verifies the audit log in the browser, and finds one changed byte', async () => {
    const page = await open('/audit');
    await page.getByRole('button', { name: 'Verify in this browser' }).click();
    await page.getByText(/^The log holds: /).waitFor();
    await page.getByRole('button', { name: 'Verify in this browser' }).click();
    await page.getByText('Nothing was changed since').waitFor();
    await page.route('**/api/v1/audit/tile/entries/000**', async (route) => {
      const body = Buffer.from(await (await route.fetch()).body());
      body[40] = body[40]! ^ 1;
      await route.fulfill({ body, contentType: 'application/octet-stream' });
    });
    await page.getByRole('button', { name: 'Verify in this browser' }).click();
    await page.getByText('The log does not hold').waitFor();
    await page.getByText('The entries give the root').waitFor();
  });

  it('one entry is checked against the signed root', async () => {
    const page = await open('/audit?entry=7');
    await page.getByRole('button', { name: 'Check this entry' }).click();
    await page.getByText('more hashes lead from there to the signed root').waitFor();
  });

  it('Control K goes anywhere', async () => {
    const page = await open('/');
    await page.getByText('Without a person').waitFor();
    await page.keyboard.press('Control+k');
    await page.getByRole('textbox', { name: 'Search or go to' }).fill('return-r');
    await page.getByRole('button', { name: /return-risk/ }).click();
    await page.waitForURL(/\/models\/return-risk/);
  });

  it('what the server refuses is shown with its code and the way forward', async () => {
    const page = await open('/');
    await page.getByText('Without a person').waitFor();
    await page.goto(`${product().url}/runs/run_none`);
    await page.getByRole('alert').getByText('workflow.run_not_found').waitFor();
    // What is not there is not there a second time: the way out is the list.
    expect(await page.getByRole('button', { name: 'Try again' }).count()).toBe(0);
    await page.getByRole('navigation', { name: 'Up' }).getByRole('link', { name: 'Runs' }).waitFor();
    await page.goto(`${product().url}/contracts/none`);
    await page.getByRole('alert').getByText('There is no contract “none”.').waitFor();
    expect(await page.getByRole('main').getByRole('link', { name: 'Change', exact: true }).count()).toBe(0);
  });
});
