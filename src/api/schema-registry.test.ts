import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { JsonObject } from '../kernel/json.ts';
import { createTestDatabase, type TestDatabase } from '../testing/database.ts';
import { API_MIGRATIONS, type ApiUnderTest, openApiUnderTest } from './api-under-test.ts';

const first: JsonObject = { type: 'object', properties: { total: { type: 'number' } } };
const second: JsonObject = { type: 'object', properties: { total: { type: ['number', 'null'] } } };

describe('Confluent’s registry routes over contracts', () => {
  let database: TestDatabase;
  let api: ApiUnderTest;
  beforeAll(async () => {
    database = await createTestDatabase(API_MIGRATIONS);
    api = await openApiUnderTest(database);
    for (const [version, schema] of [
      ['1.0.0', first],
      ['1.1.0', second],
    ] as const) {
      const text = JSON.stringify({ name: 'order', version, owner: 'shop', schema });
      const body = { files: [{ path: 'contracts/order.json', text }] };
      await api.request({ method: 'POST', url: '/api/v1/apply', role: 'operator', body });
    }
  });
  afterAll(async () => {
    await api.close();
    await database.close();
  });
  const get = async (path: string) =>
    (await api.request({ method: 'GET', url: `/schema-registry${path}`, role: 'viewer' })).json();
  const post = async (path: string, schema: JsonObject) =>
    (
      await api.request({
        method: 'POST',
        url: `/schema-registry${path}`,
        role: 'viewer',
        headers: { 'content-type': 'application/vnd.schemaregistry.v1+json' },
        body: { schemaType: 'JSON', schema: JSON.stringify(schema) },
      })
    ).json();

  it('list subjects and versions, and give a version by number, as the latest, and by id', async () => {
    expect(await get('/subjects')).toContain('order');
    expect(await get('/subjects/order-value/versions')).toEqual([1, 2]);
    const latest = await get('/subjects/order/versions/latest');
    expect(latest).toMatchObject({ subject: 'order', version: 2, schemaType: 'JSON' });
    expect(JSON.parse(latest.schema)).toEqual(second);
    expect(await get('/subjects/order/versions/1/schema')).toEqual(first);
    expect(await get(`/schemas/ids/${latest.id}`)).toEqual({ schema: latest.schema, schemaType: 'JSON' });
    expect(await get(`/schemas/ids/${latest.id}/versions`)).toEqual([{ subject: 'order', version: 2 }]);
    expect(await post('/subjects/order', first)).toMatchObject({ version: 1 });
  });

  it('check a schema against a version, and tell the mode', async () => {
    const narrow: JsonObject = { type: 'object', properties: { total: { type: 'integer' } } };
    const path = '/compatibility/subjects/order/versions/latest';
    expect(await post(path, narrow)).toEqual({ is_compatible: false });
    expect(await post(`${path}?verbose=true`, narrow)).toMatchObject({
      messages: [expect.stringContaining('TYPE_NARROWED')],
    });
    expect(await post(path, second)).toEqual({ is_compatible: true });
    expect(await get('/config')).toEqual({ compatibilityLevel: 'BACKWARD' });
    expect(await get('/config/order')).toEqual({ compatibilityLevel: 'BACKWARD' });
    expect(await get('/mode')).toEqual({ mode: 'READONLY' });
    expect(await get('/schemas/types')).toEqual(['JSON']);
  });

  it('answer with Confluent’s error codes', async () => {
    expect(await get('/subjects/nothing/versions')).toMatchObject({ error_code: 40401 });
    expect(await get('/subjects/order/versions/9')).toMatchObject({ error_code: 40402 });
    expect(await get('/schemas/ids/1')).toMatchObject({ error_code: 40403 });
    expect(await post('/subjects/order', { type: 'string' })).toMatchObject({ error_code: 40403 });
  });
});
