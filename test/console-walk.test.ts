import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Page } from 'playwright-core';
import { beforeAll, expect, it, vi } from 'vitest';
import { faultsInAllLooks, steady } from './browser.ts';
import { fillConsole, HARD_NAMES } from './console-content.ts';
import { describeConsole } from './console-under-test.ts';

const { long, flow, subject } = HARD_NAMES;

/** By the route of each page: the addresses at which it is looked at. What stands in brackets is found out when the product runs. */
const ADDRESSES: Readonly<Record<string, readonly string[]>> = {
  '/': ['/'],
  '/runs': ['/runs', '/runs?status=failed', '/runs?q=no-such-case'],
  '/runs/versions': [`/runs/versions?workflow=${flow}`],
  '/runs/queues': ['/runs/queues'],
  '/runs/schedules': ['/runs/schedules'],
  '/runs/$id': ['/runs/{failed}', '/runs/{waiting}', '/runs/run_none'],
  '/inbox': ['/inbox?task={task}', '/inbox?status=expired'],
  '/quality': [`/quality?queue=${long}`, '/quality?queue=none'],
  '/models': ['/models'],
  '/models/$name': [`/models/${long}`, '/models/return-risk', '/models/none'],
  '/experiments': ['/experiments'],
  '/experiments/$name': [`/experiments/${long}`, '/experiments/Default'],
  '/experiments/by-id/$id': ['/experiments/by-id/1', '/experiments/by-id/999'],
  '/experiments/runs/$id': [
    '/experiments/runs/{training}',
    '/experiments/runs/{training}?folder=plots',
    '/experiments/runs/none',
  ],
  '/budgets': ['/budgets'],
  '/events': ['', '?tab=dead-letters', '?tab=quarantine', '?tab=bridges', '?tab=webhooks', '?tab=groups'].map(
    (search) => `/events${search}`,
  ),
  '/contracts': ['/contracts'],
  '/contracts/$name': [`/contracts/${long}`],
  '/features': ['/features'],
  '/features/$name': ['/features/scores', '/features/none'],
  '/datasets': ['/datasets'],
  '/datasets/$name': ['/datasets/clients', '/datasets/unmade', '/datasets/none'],
  '/lineage': ['/lineage', '/lineage?node=model:return-risk'],
  '/change': [`/change?kind=workflow&name=${flow}`],
  '/audit': ['/audit', '/audit?entry=5', '/no-such-page'],
  '/keys': ['/keys', '/keys?key={key}', '/keys?state=ended', '/keys?q=nobody'],
};

interface Items {
  items: { id: string }[];
}

/** What an address holds in brackets, by its name. */
type Found = Readonly<Record<string, string>>;

describeConsole('every page of the console, with hard names', ({ open, ask, send, apply }) => {
  let found: Found;

  beforeAll(async () => {
    await fillConsole({ ask, send, apply });
    const first = async (path: string) => {
      const { items } = await vi.waitFor(
        async () => {
          const answer = await ask<Items>(path);
          expect(answer.items).not.toHaveLength(0);
          return answer;
        },
        { timeout: 20_000, interval: 200 },
      );
      return items[0]!.id;
    };
    found = {
      decided: await first('/api/v1/runs?workflow=returns&status=completed&limit=1'),
      failed: await first('/api/v1/runs?workflow=breaks&status=failed&limit=1'),
      waiting: await first(`/api/v1/runs?workflow=${flow}&status=waiting&limit=1`),
      training: await first(`/api/v1/experiments/${long}/runs?orderBy=start_time%20ASC`),
      key: await first('/api/v1/keys'),
      task: await first(`/api/v1/tasks?queue=${long}&status=open&limit=1`),
    };
  });

  it('is walked', () => {
    const router = readFileSync(join(import.meta.dirname, '../console/src/router.tsx'), 'utf8');
    const paths = [...router.matchAll(/^ {4}path: '(.+)',$/gm)].map(([, path]) => path);
    expect(paths.toSorted()).toEqual(Object.keys(ADDRESSES).toSorted());
    expect(paths).toHaveLength(router.match(/createRoute\(\{/g)!.length); // none is written in another way
    const events = readFileSync(join(import.meta.dirname, '../console/src/events/events-page.tsx'), 'utf8');
    const tabs = [...events.matchAll(/<Tabs\.Panel value="([a-z-]+)"/g)].map(([, tab]) => tab!);
    expect(tabs.slice(1).map((tab) => `/events?tab=${tab}`)).toEqual(ADDRESSES['/events']!.slice(1));
  });

  it.each(Object.entries(ADDRESSES))(
    '%s fits in every look, and axe finds nothing',
    async (_, addresses) => {
      const [first, ...others] = addresses.map((address) =>
        address.replace(/\{(\w+)\}/, (_bracketed, name: string) => found[name]!),
      );
      const page = await open(first!);
      expect(await faultsInAllLooks(page, drawn)).toEqual([]);
      for (const other of others) {
        await page.goto(new URL(other, page.url()).href);
        expect(await faultsInAllLooks(page, drawn), other).toEqual([]);
      }
    },
    180_000,
  ); // a route has up to six addresses of four looks each

  it('a failed run says at which step, in the chart and in words', async () => {
    const page = await open(`/runs/${found.failed}`);
    const error = page.getByRole('region', { name: 'Why the run failed' });
    await error.getByText('At the step “fails”.').waitFor();
    await error.getByText(subject).waitFor();
    await page.getByRole('group', { name: 'fails: failed' }).waitFor();
  });

  it('an expression that failed is shown with its mark under the place', async () => {
    const page = await open('/');
    const { id } = await send<{ id: string }>('/api/v1/workflows/returns/runs?wait=5s', { input: {} });
    await page.goto(new URL(`/runs/${id}`, page.url()).href);
    const error = page.getByRole('region', { name: 'Why the run failed' });
    expect(await error.locator('pre').textContent()).toMatch(/^>\s+1 \| (.*)\n\s+\^$/);
    expect(await faultsInAllLooks(page)).toEqual([]);
  });

  it('what failed is one click away, stands at the step where it failed, and is retried from its head', async () => {
    const page = await open('/');
    await page.getByRole('link', { name: 'Failed runs' }).click();
    await page.getByRole('button', { name: 'Failed only', pressed: true }).waitFor();
    await page.goto(new URL(`/runs/${found.failed}`, page.url()).href);
    await page
      .getByRole('region', { name: 'fails' })
      .getByText('It failed before it left a record')
      .waitFor();
    await page.getByRole('button', { name: 'Retry', exact: true }).click();
    const question = page.getByRole('dialog', { name: 'Retry this run?' });
    await question.getByText('It goes on at the step “fails” where it failed').waitFor();
    await question.getByRole('button', { name: 'Retry', exact: true }).click();
    await page.getByText('attempt 2').waitFor();
    await page.getByText(/admin had it done again/).waitFor();
  });

  it('what a run was made from, who uses a contract and what an entry is about lead to their pages', async () => {
    const page = await open(`/runs/${found.failed}`);
    await page.getByRole('region', { name: 'Made from' }).getByRole('link', { name: 'breaks' }).click();
    await page.waitForURL(/\/change\?kind=workflow&name=breaks$/);
    await page.goto(new URL('/contracts/return.requested', page.url()).href);
    await page
      .getByRole('region', { name: 'Used by' })
      .getByRole('link', { name: 'customer-returns' })
      .click();
    await page.waitForURL(/\/features\/customer-returns$/);
    await page.getByRole('navigation', { name: 'Up' }).getByRole('link', { name: 'Features' }).click();
    await page.waitForURL(/\/features$/);
    await page.goto(new URL('/audit?kind=definition&object=entity:client', page.url()).href);
    await page.getByRole('row').getByRole('link', { name: 'client' }).first().click();
    await page.waitForURL(/\/change\?kind=entity&name=client$/);
  });

  it('lineage begins with what is there', async () => {
    const page = await open('/lineage');
    await page.getByRole('link', { name: 'return-policy' }).click();
    await page.waitForURL(/node=decision%3Areturn-policy/);
    await page
      .getByRole('table', { name: 'Nodes of the lineage' })
      .getByText('decision', { exact: true })
      .waitFor();
  });

  it('names are read whole: steps of a run, long titles beside what is done, views of a service', async () => {
    const page = await open(`/runs/${found.decided}`);
    await page.getByRole('group', { name: /^decide:/ }).waitFor();
    const scale = `new DOMMatrix(getComputedStyle(document.querySelector('.react-flow__viewport')).transform).a`;
    await expect.poll(() => page.evaluate(scale)).toBeGreaterThan(0.8); // letters of 13 px are read at 10
    const boxes = (...texts: string[]) =>
      Promise.all(texts.map((text) => page.locator(text).first().boundingBox()));
    await page.goto(new URL(`/models/${long}`, page.url()).href);
    await page.getByRole('region', { name: 'Versions' }).waitFor();
    const [title, actions] = await boxes('h1', '.page-actions');
    expect(actions!.x).toBeGreaterThan(title!.x + title!.width - 1); // beside it, not below
    const [heading, cell] = await boxes(
      'section[aria-label="Versions"] h2',
      'section[aria-label="Versions"] tbody button',
    );
    expect(Math.abs(heading!.x - cell!.x)).toBeLessThan(1); // tables stand in line with their titles
    await page.goto(new URL('/features', page.url()).href);
    const view = page.getByRole('table', { name: 'Feature services' }).getByText('customer-returns');
    expect((await view.boundingBox())!.height).toBeLessThan(30); // one line
  });

  it('a queue that is not there is named, not another one that cannot be chosen', async () => {
    const page = await open('/quality?queue=none');
    await page.getByText('There is no such queue').waitFor();
    const chosen = page.getByRole('combobox', { name: 'Queue' });
    expect(await chosen.inputValue()).toBe('none');
    await chosen.selectOption(long);
    await page.getByRole('region', { name: 'Reviewers with each other' }).waitFor();
  });

  it('a step that waits for a person leads to its case', async () => {
    const page = await open(`/runs/${found.waiting}`);
    await page.getByRole('link', { name: 'Open the case in the inbox' }).click();
    await page.waitForURL(/\/inbox\?task=tsk_/);
  });

  it('dead letters are dismissed after a question that says what follows', async () => {
    const page = await open('/events?tab=dead-letters');
    await page.getByRole('checkbox', { name: /-b-1$/ }).check();
    await page.getByRole('button', { name: 'Dismiss' }).click();
    const question = page.getByRole('dialog', { name: 'Dismiss 1 of them?' });
    await question.getByText('what they would have started does not happen').waitFor();
    await page.keyboard.press('Escape');
    await question.waitFor({ state: 'hidden' });
    expect(await page.getByRole('checkbox', { name: /-b-1$/ }).isChecked()).toBe(true);
    await page.getByRole('button', { name: 'Dismiss' }).click();
    await question.getByRole('button', { name: 'Dismiss them' }).click();
    await page.getByRole('checkbox', { name: /-b-1$/ }).waitFor({ state: 'detached' });
  });

  it('on a phone one searches, and Escape gives the page back', async () => {
    const page = await open('/runs', { viewport: { width: 390, height: 844 } });
    await page.getByRole('button', { name: 'Search or go to' }).click();
    const search = page.getByRole('textbox', { name: 'Search or go to' });
    await search.fill('audit');
    await page.keyboard.press('Escape');
    await search.waitFor({ state: 'hidden' });
  });

  it.each([1440, 390])(
    'what is told stands over the header, %i px wide, and hides no button',
    async (width) => {
      const page = await open('/events?tab=dead-letters', { viewport: { width, height: 844 } });
      await page.getByRole('checkbox', { name: 'Choose all' }).check();
      await page.getByRole('button', { name: /^Hand again/ }).click();
      const told = page.getByRole('alert').filter({ hasText: 'handled' });
      await told.getByText('failed again').waitFor();
      await steady(page);
      const [{ y, height }, header] = [
        (await told.boundingBox())!,
        (await page.getByRole('banner').boundingBox())!,
      ];
      expect([y >= 0, y + height <= header.height]).toEqual([true, true]);
      expect(await faultsInAllLooks(page)).toEqual([]);
    },
  );

  it('on a phone a name is not cut in two, no dot hangs at an end of a line, and a button stays beside its field', async () => {
    const page = await open('/datasets/clients', { viewport: { width: 390, height: 844 } });
    const columns = page.getByRole('region', { name: 'Columns' });
    await columns.waitFor();
    const cell = (text: string) => columns.getByRole('cell', { name: text, exact: true }).first();
    const heights = await Promise.all(['timestamp', 'split'].map((text) => cell(text).boundingBox()));
    expect(Math.abs(heights[0]!.height - heights[1]!.height)).toBeLessThan(2); // a line each
    await page.goto(new URL(`/runs/${found.failed}`, page.url()).href);
    const facts = page.locator('.dotted > *');
    await facts.first().waitFor();
    const places = (await facts.evaluateAll((each) =>
      each.map((one) => one.getBoundingClientRect().x),
    )) as number[];
    const cut = (await page.locator('.dotted').boundingBox())!.x + 12; // what is left of it is cut off
    expect(places[0]! + 10).toBeLessThan(cut); // the dot of the first is
    expect(places.slice(1).some((x) => x + 10 < cut)).toBe(true); // and that of the one that begins a line
    await page.goto(new URL('/lineage', page.url()).href);
    const [field, button] = await Promise.all([
      page.getByRole('textbox', { name: 'Node' }).boundingBox(),
      page.getByRole('button', { name: 'Show' }).boundingBox(),
    ]);
    expect(button!.y).toBe(field!.y);
    const pressed = `[...document.querySelectorAll('main .mantine-Button-label')].filter((label) => label.scrollWidth > label.clientWidth)`;
    expect(await page.evaluate(`${pressed}.map(({ textContent }) => textContent)`)).toEqual([]);
  });

  it('an explanation is printed whole, black on white in the dark scheme too', async () => {
    const page = await open(`/runs/${found.failed}`, { colorScheme: 'dark' });
    await page.getByText('At the step “fails”.').waitFor();
    await page.emulateMedia({ media: 'print', colorScheme: 'dark' });
    expect(await page.getByRole('navigation', { name: 'Main' }).isVisible()).toBe(false);
    const style = (of: string, name: string) =>
      page.evaluate(`getComputedStyle(document.querySelector('${of}')).${name}`);
    expect(await style('h1', 'color')).toBe('rgb(0, 0, 0)');
    expect(await style('body', 'backgroundColor')).toBe('rgb(255, 255, 255)');
  });
});

/** The page has its title, which says that what it shows was read, or what went wrong. */
function drawn(page: Page): Promise<unknown> {
  return page.getByRole('heading', { level: 1 }).or(page.getByRole('alert')).first().waitFor();
}
