import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { browserPath, openBrowser, type Started, startProduct } from './browser.ts';

/** A page of another origin; what is on it comes by `evaluate`. */
async function servePage(): Promise<{ server: Server; origin: string }> {
  const server = createServer((_, response) => {
    response.writeHead(200, { 'content-type': 'text/html' }).end('<!doctype html><title>elsewhere</title>');
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { server, origin: `http://localhost:${(server.address() as AddressInfo).port}` };
}

interface Called {
  status?: number;
  requestId?: string | null;
  left?: string | null;
  code?: string;
  error?: string;
}

/** Runs in the page. */
const CALL = `async ([url, init]) => {
  try {
    const response = await fetch(url, init);
    const body = await response.json();
    const header = (name) => response.headers.get(name);
    return { status: response.status, requestId: header('x-request-id'), left: header('ratelimit'), code: body.code };
  } catch (error) {
    return { error: error.name };
  }
}`;

describe.skipIf(!browserPath)('a page of another origin, in a browser', () => {
  let product: Started;
  let browser: Browser;
  let allowed: Awaited<ReturnType<typeof servePage>>;
  let other: Awaited<ReturnType<typeof servePage>>;
  beforeAll(async () => {
    allowed = await servePage();
    other = await servePage();
    product = await startProduct({ AIOS_CORS_ORIGINS: allowed.origin });
    browser = await openBrowser();
  }, 120_000);
  afterAll(async () => {
    await browser?.close();
    await product?.stop();
    for (const page of [allowed, other]) page?.server.close();
  });

  async function call(from: string, path: string, init: RequestInit = {}): Promise<Called> {
    const page = await browser.newPage();
    await page.goto(from);
    const headers = { authorization: `Bearer ${product.key}`, ...init.headers };
    const asked = JSON.stringify([`${product.url}${path}`, { ...init, headers }]);
    const called = (await page.evaluate(`(${CALL})(${asked})`)) as Called;
    await page.close();
    return called;
  }
  const json = { method: 'POST', headers: { 'content-type': 'application/json', 'x-request-id': 'page-1' } };

  it('calls the API, the models and the routes of OpenAI where it is named, and reads what is wrong', async () => {
    const { origin } = allowed;
    expect(await call(origin, '/api/v1/workflows')).toMatchObject({ status: 200 });
    expect(await call(origin, '/v1/models')).toMatchObject({
      status: 200,
      requestId: expect.stringMatching(/^req_/),
    });
    const body = JSON.stringify({ inputs: [] });
    expect(await call(origin, '/v2/models/return-risk/infer', { ...json, body })).toMatchObject({
      status: 400,
      requestId: 'page-1',
      code: 'serving.missing_input',
    });
    expect(await call(origin, '/api/v1/nowhere', { method: 'PUT' })).toMatchObject({
      status: 404,
      code: 'request.not_found',
    });
  });

  it('reads nothing where it is not named, and its calls with a key are not even made', async () => {
    const body = JSON.stringify({ name: 'of-a-page', roles: ['viewer'] });
    for (const path of ['/api/v1/workflows', '/v1/models', '/v2/models/return-risk'])
      expect(await call(other.origin, path)).toEqual({ error: 'TypeError' });
    const keys = async () => {
      const { items } = await product.api<{ items: { name: string }[] }>('/api/v1/keys');
      return items.map(({ name }) => name);
    };
    expect(await call(other.origin, '/api/v1/keys', { ...json, body })).toEqual({ error: 'TypeError' });
    expect(await keys()).not.toContain('of-a-page');
    expect(await call(allowed.origin, '/api/v1/keys', { ...json, body })).toMatchObject({ status: 201 });
    expect(await keys()).toContain('of-a-page');
  });

  it('never comes with the session of the console, wherever it is from', async () => {
    const context = await browser.newContext();
    const page = await context.newPage();
    await page.goto(product.loginUrl ?? product.url);
    await page.goto(allowed.origin);
    const asked = JSON.stringify([`${product.url}/api/v1/me`, { credentials: 'include' }]);
    expect(await page.evaluate(`(${CALL})(${asked})`)).toEqual({ error: 'TypeError' });
    await context.close();
  });
});
