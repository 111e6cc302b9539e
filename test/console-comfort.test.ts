import type { Page } from 'playwright-core';
import { beforeAll, expect, it } from 'vitest';
import { faultsInAllLooks, steady } from './browser.ts';
import { fillConsole, HARD_NAMES } from './console-content.ts';
import { describeConsole } from './console-under-test.ts';

const { long, flow } = HARD_NAMES;
/** Above it people lose the place that they were reading (the bound of “good” of the web vitals). */
const SHIFT_MAX = 0.1;
const ANSWER_MS = 200;
const PHONE = { width: 390, height: 844 };

/** Adds up what moved on a page without its reader having done anything. */
const WATCH_SHIFTS = `window.shifted = 0;
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) if (!entry.hadRecentInput) shifted += entry.value;
}).observe({ type: 'layout-shift', buffered: true });`;

const PAGES = [
  ...['/', '/runs', '/runs/queues', '/runs/schedules', `/runs/versions?workflow=${flow}`, '/inbox'],
  ...['/models', '/models/return-risk', '/experiments', `/experiments/${long}`, '/budgets', '/events'],
  ...['/events?tab=dead-letters', '/contracts', '/contracts/order.placed', '/features', '/features/scores'],
  ...['/datasets', '/datasets/clients', '/lineage?node=model:return-risk', '/audit'],
  `/change?kind=workflow&name=${flow}`,
];

/** Where a dialog is opened, by what, and what it is called. */
const DIALOGS: [page: string, button: RegExp, dialog: RegExp, before?: (page: Page) => Promise<void>][] = [
  ['/events?tab=webhooks', /^New webhook$/, /^New webhook$/],
  ['/events?tab=bridges', /^orders$/, /^orders$/],
  ['/events?tab=quarantine', /^Discard$/, /^Discard 1 of them/, (page) => choose(page)],
  ['/events?tab=dead-letters', /^Dismiss$/, /^Dismiss 3 of them/, (page) => choose(page)],
  ['/audit?object=entity:customer', /^\d+$/, /^Entry \d+$/],
];

const choose = (page: Page) => page.getByRole('checkbox', { name: 'Choose all' }).check();

describeConsole('the console, kind to those who use it', ({ open, ask, send, apply }) => {
  beforeAll(() => fillConsole({ ask, send, apply }));

  it.each([1440, 390])(
    'moves nothing on a page after it was drawn, %i px wide',
    async (width) => {
      const page = await open('/no-such-page', { viewport: { width, height: 900 } });
      await page.addInitScript(WATCH_SHIFTS);
      await page.route('**/api/v1/**', async (route) => {
        if (!route.request().url().endsWith('/stream'))
          await new Promise((resolve) => setTimeout(resolve, ANSWER_MS));
        await route.continue().catch(() => {}); // of a page that was left
      });
      const moved: Record<string, number> = {};
      for (const path of PAGES) {
        await page.goto(new URL(path, page.url()).href);
        await page.getByRole('heading', { level: 1 }).waitFor();
        await steady(page);
        const shifted = (await page.evaluate('shifted')) as number;
        if (shifted > SHIFT_MAX) moved[path] = shifted;
      }
      expect(moved).toEqual({});
    },
    180_000,
  );

  it.each(DIALOGS)(
    '%s: the keyboard stays in what %s opens, and comes back from it',
    async (path, button, name, before) => {
      const page = await open(path);
      await before?.(page);
      const opener = page.getByRole('button', { name: button }).first();
      await opener.focus();
      await page.keyboard.press('Enter');
      const dialog = page.getByRole('dialog', { name });
      await dialog.waitFor();
      const isInside = async () => (await dialog.locator(':focus').count()) === 1;
      await expect.poll(isInside).toBe(true);
      for (let tab = 0; tab < 15; tab++) {
        await page.keyboard.press('Tab');
        expect(await isInside()).toBe(true);
      }
      await page.keyboard.press('Escape');
      await dialog.waitFor({ state: 'hidden' });
      await expect.poll(() => opener.and(page.locator(':focus')).count()).toBe(1);
    },
  );

  it('names who did something by the name of their key', async () => {
    const page = await open(`/models/${long}`);
    await page.getByText('Asked for by admin').waitFor();
    await page.getByRole('row', { name: /^v1 .* by admin/ }).waitFor();
    await page.goto(new URL(`/contracts/${long}`, page.url()).href);
    const versions = page.getByRole('region', { name: 'Versions' });
    await versions.getByText('admin').hover();
    await page.getByRole('tooltip', { name: /^key_/ }).waitFor();
    await page.goto(new URL(`/audit?object=queue:${long}`, page.url()).href);
    await page
      .getByRole('cell', { name: /^admin/ })
      .first()
      .waitFor();
  });

  it('keeps its tabs in one row on a phone, with the chosen one in sight', async () => {
    const page = await open('/events?tab=groups', { viewport: PHONE });
    const chosen = page.getByRole('tab', { name: 'Consumer groups' });
    await page.getByRole('tab', { name: 'Bridges 1' }).waitFor();
    await steady(page);
    const row = (await page.getByRole('tablist').boundingBox())!;
    const tab = (await chosen.boundingBox())!;
    expect(row.height).toBeLessThan(1.5 * tab.height);
    expect([tab.x >= row.x, tab.x + tab.width <= row.x + row.width]).toEqual([true, true]);
    // An address has most of the width: it is what tells one webhook from another.
    await page.goto(new URL('/events?tab=webhooks', page.url()).href);
    const address = (await page.getByRole('button', { name: /^http:/ }).boundingBox())!;
    expect(address.width).toBeGreaterThan(PHONE.width / 2);
    // Commands for a terminal are of no use there.
    expect(await page.getByRole('button', { name: /^Copy as a command/ }).count()).toBe(0);
  });

  it('stands still for who asks for less motion, and draws lines for who asks for more contrast', async () => {
    const page = await open('/', { reducedMotion: 'reduce', contrast: 'more' });
    expect(await faultsInAllLooks(page)).toEqual([]);
    const styleOf = (value: string) =>
      page.evaluate(`getComputedStyle(document.documentElement).getPropertyValue('${value}')`);
    expect(await styleOf('--mantine-color-dimmed')).toBe(await styleOf('--mantine-color-text'));
    expect(await styleOf('--line')).toBe(await styleOf('--quiet-fg'));
    // What is loading would pulse for as long as it does.
    await page.route('**/api/v1/models', () => {});
    await page.getByRole('link', { name: 'Models' }).click();
    await page.getByRole('main').getByRole('status', { name: 'Loading' }).waitFor();
    const moving = 'document.getAnimations().filter(({ playState }) => playState === "running").length';
    await expect.poll(() => page.evaluate(moving)).toBe(0);
  });

  it('shows a part of a list of a thousand, which is searched, and the address keeps what for', async () => {
    const { items } = await ask<{ items: { name: string }[] }>('/api/v1/contracts');
    const many = Array.from({ length: 1_000 }, (_, at) => ({ ...items[0]!, name: `type.number-${at}` }));
    const page = await open('/');
    await page.route('**/api/v1/contracts', (route) =>
      route.fulfill({ json: { items: many, nextCursor: null } }),
    );
    await page.getByRole('link', { name: 'Contracts' }).click();
    const rows = page.getByRole('main').getByRole('link', { name: /^type\.number-/ });
    await rows.first().waitFor();
    expect(await rows.count()).toBe(100);
    await page.getByRole('button', { name: 'Show more of 1,000' }).click();
    await expect.poll(() => rows.count()).toBe(200);
    expect(await faultsInAllLooks(page)).toEqual([]);
    await page.getByLabel('Find by name').fill('NUMBER-97');
    await expect.poll(() => rows.count()).toBe(11); // 97 and 970 to 979
    await page.reload();
    await expect.poll(() => rows.count()).toBe(11);
    await page.getByLabel('Find by name').fill('none of them');
    await page.getByText('None has that name').waitFor();
  });

  it('goes on to the next page of the inbox with j', async () => {
    const page = await open('/');
    const { items } = await ask<{ items: { id: string; title: string }[] }>('/api/v1/tasks?limit=1');
    await page.route(/\/api\/v1\/tasks\?/, async (route) => {
      const second = new URL(route.request().url()).searchParams.has('cursor');
      const task = (at: number) => ({
        ...items[0]!,
        id: at === 0 ? items[0]!.id : `tsk_${at}`,
        title: `Case ${at}`,
      });
      const json = second
        ? { items: [task(100)], nextCursor: null }
        : { items: Array.from({ length: 100 }, (_, at) => task(at)), nextCursor: 'more' };
      await route.fulfill({ json });
    });
    await page.getByRole('link', { name: /^Inbox\b/ }).click();
    const list = page.getByRole('navigation', { name: 'Tasks' });
    await list.getByRole('button', { name: /^Case 99/ }).click();
    await page.keyboard.press('j');
    await list.getByRole('button', { name: /^Case 100/ }).waitFor();
  });

  it('finds a model behind a hundred cases that have its name in theirs', async () => {
    const page = await open('/');
    const { items } = await ask<{ items: { id: string }[] }>('/api/v1/tasks?limit=1');
    await page.route(/\/api\/v1\/tasks\?/, (route) => {
      const task = (at: number) => ({ ...items[0]!, id: `tsk_${at}`, title: `About return-risk ${at}` });
      return route.fulfill({
        json: { items: Array.from({ length: 100 }, (_, at) => task(at)), nextCursor: null },
      });
    });
    await page.getByText('Without a person').waitFor();
    await page.keyboard.press('Control+k');
    await page.getByRole('textbox', { name: 'Search or go to' }).fill('return-risk');
    await page.getByRole('button', { name: /^About return-risk 0/ }).waitFor();
    await page.getByRole('button', { name: /^return-risk/ }).waitFor();
  });
});
