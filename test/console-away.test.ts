import type { Page } from 'playwright-core';
import { expect, it } from 'vitest';
import { faultsInAllLooks, violations } from './browser.ts';
import { describeConsole } from './console-under-test.ts';

/** A mark that goes when the page is loaded again. */
const MARK = 'window.markedByTest = true';
const isMarked = (page: Page) => page.evaluate('window.markedByTest === true');

describeConsole(
  'the console when the server is away, or another',
  ({ open, product, openStranger, send, allowFaults }) => {
    it('loads itself again, once, when a part of it has gone with an upgrade, and says so', async () => {
      allowFaults(/Failed to load resource|A part of this page could not be read/);
      const page = await open('/');
      await page.getByRole('heading', { name: 'Latest' }).waitFor();
      await page.evaluate(MARK);
      const missing = /assets\/datasets-page/;
      let isOld = true;
      page.once('load', () => {
        isOld = false;
      });
      await page.route(missing, (route) =>
        isOld ? route.fulfill({ status: 404, body: '' }) : route.continue(),
      );
      // A part that is only fetched ahead must not take away what somebody types on this page.
      await page.getByRole('link', { name: 'Datasets' }).hover();
      await page.waitForResponse(missing);
      expect(await isMarked(page)).toBe(true);
      await page.getByRole('link', { name: 'Datasets' }).click();
      await page.getByText('The page was loaded again').waitFor();
      await page.getByRole('row', { name: /return-requests/ }).waitFor();
      expect(await isMarked(page)).toBe(false);

      await page.evaluate(MARK);
      await page.route(/assets\/audit-page/, (route) => route.fulfill({ status: 404, body: '' }));
      await page.getByRole('link', { name: 'Audit' }).click();
      await page.getByRole('alert').getByText('the part is still missing').waitFor();
      expect(await isMarked(page)).toBe(true);
    });

    it('is not blank without its own script, and comes when that is there', async () => {
      allowFaults(/Failed to load resource/);
      const page = await open('/');
      await page.getByRole('heading', { name: 'Latest' }).waitFor();
      const entry = /assets\/index-.*\.js/;
      await page.route(entry, (route) => route.fulfill({ status: 404, body: '' }));
      await page.reload();
      await page.getByRole('heading', { name: 'AIOS could not be loaded' }).waitFor();
      await page.getByText('restart AIOS, and this page loads by itself').waitFor();
      expect(await violations(page)).toEqual([]);
      await page.unroute(entry);
      await page.getByRole('heading', { name: 'Latest' }).waitFor();
    });

    it('waits with that until a server answers', async () => {
      allowFaults(/Failed to load resource|A part of this page could not be read/);
      const page = await open('/');
      await page.getByRole('heading', { name: 'Latest' }).waitFor();
      await page.evaluate(MARK);
      await page.context().setOffline(true);
      await page.getByRole('link', { name: 'Contracts' }).click();
      await page.getByText('It is loaded again as soon as AIOS answers').waitFor();
      expect(await isMarked(page)).toBe(true);
      await page.context().setOffline(false);
      await page.getByRole('row', { name: /order\.placed/ }).waitFor();
    });

    it('says that it cannot be reached, on every page, and goes on by itself', async () => {
      const page = await open('/runs');
      await page
        .getByRole('row', { name: /returns/ })
        .first()
        .waitFor();
      await page.getByRole('link', { name: 'Contracts' }).hover();
      await page.waitForResponse(/assets\/contracts-page/);
      await page.route('**/api/**', (route) => route.abort());
      await page.getByRole('link', { name: 'Contracts' }).click();
      await page.getByRole('alert').getByText('AIOS cannot be reached').waitFor();
      expect(await faultsInAllLooks(page)).toEqual([]);
      await page.unroute('**/api/**');
      await page.getByRole('button', { name: 'Try again' }).click();
      await page.getByRole('row', { name: /order\.placed/ }).waitFor();
    });

    it('asks to log in again over the page when the session has ended, and keeps what was typed', async () => {
      const page = await open('/runs');
      await page.getByRole('link', { name: 'Events' }).click();
      const filter = page.getByRole('textbox', { name: /^Subject/ });
      await filter.fill('half a word');
      await page.context().clearCookies();
      const dialog = page.getByRole('dialog', { name: 'Log in again' });
      await dialog.waitFor();
      expect(await faultsInAllLooks(page)).toEqual([]);
      await page.keyboard.press('Escape');
      await dialog.getByLabel('Or paste an API key').fill(product().key);
      await dialog.getByRole('button', { name: 'Log in', exact: true }).click();
      await dialog.waitFor({ state: 'hidden' });
      expect(await filter.inputValue()).toBe('half a word');
    });

    it('says which permission is missing, and offers no page that could not be read', async () => {
      const { key } = await send<{ key: string }>('/api/v1/keys', { name: 'Tracy', roles: ['trainer'] });
      const context = await openStranger();
      await context.request.post(`${product().url}/api/v1/login`, { data: { key } });
      const page = await context.newPage();
      await page.goto(`${product().url}/audit?entry=1`);
      await page.getByText('this needs the permission audit.read').first().waitFor();
      await page.goto(product().url);
      await page.getByRole('heading', { name: 'Models', level: 1 }).waitFor();
      expect(await page.getByRole('navigation', { name: 'Main' }).getByRole('link').allInnerTexts()).toEqual([
        'Models',
        'Experiments',
      ]);
    });
  },
);
