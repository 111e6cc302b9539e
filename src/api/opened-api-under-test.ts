import { afterAll, beforeAll, expect } from 'vitest';
import type { Json } from '../kernel/json.ts';
import { createTestDatabase, type TestDatabase } from '../testing/database.ts';
import {
  API_MIGRATIONS,
  type ApiUnderTest,
  openApiUnderTest,
  type RequestOptions,
} from './api-under-test.ts';

/**
 * The API over a database of its own, for the tests of a `describe`: opened before the first of them and closed after the last, so that neither has anything
 * in it while tests are collected.
 *
 * @param limits as the environment gives them
 * @example const { api, database } = openedApi('requestBytesMax=100000');
 */
export function openedApi(limits?: string): { readonly api: ApiUnderTest; readonly database: TestDatabase } {
  const api = {} as ApiUnderTest;
  const database = {} as TestDatabase;
  beforeAll(async () => {
    Object.assign(database, await createTestDatabase(API_MIGRATIONS, limits));
    Object.assign(api, await openApiUnderTest(database));
  });
  afterAll(async () => {
    await api.close();
    await database.close();
  });
  return { api, database };
}

/**
 * Requests to the paths below one, by an operator where no other role is named.
 *
 * @returns the status and the body of the answer, which is JSON
 * @example const ask = requestsBelow(api, '/schema-registry'); expect(await ask('GET', '/contexts')).toEqual([200, ['.']])
 */
export function requestsBelow(api: ApiUnderTest, root: string) {
  return async (
    method: NonNullable<RequestOptions['method']>,
    path: string,
    body?: Json,
    role: RequestOptions['role'] = 'operator',
  ) => {
    const url = `${root}${path}`;
    const response = await api.request({ method, url, role, ...(body === undefined ? {} : { body }) });
    return [response.statusCode, response.json()];
  };
}

/** What a request is refused with: a problem by RFC 9457 whose status is that of the answer. */
export async function problemOf(api: ApiUnderTest, options: RequestOptions): Promise<{ status: number }> {
  const response = await api.request(options);
  expect(response.headers['content-type']).toContain('application/problem+json');
  const body = response.json() as { status: number };
  expect(body).toMatchObject({ status: response.statusCode, hint: expect.any(String) });
  return body;
}
