import { beforeAll, describe, expect, it } from 'vitest';
import { DefaultCompatibility } from '../contracts/default-compatibility.ts';
import type { JsonObject } from '../kernel/json.ts';
import { openedApi } from './opened-api-under-test.ts';

const first: JsonObject = { type: 'object', properties: { total: { type: 'number' } } };
const second: JsonObject = { type: 'object', properties: { total: { type: ['number', 'null'] } } };

describe('Confluent’s registry routes over contracts', () => {
  const { api, database } = openedApi();
  beforeAll(async () => {
    for (const [version, schema] of [
      ['1.0.0', first],
      ['1.1.0', second],
    ] as const) {
      const text = JSON.stringify({ name: 'order', version, owner: 'shop', schema });
      const body = { files: [{ path: 'contracts/order.json', text }] };
      await api.request({ method: 'POST', url: '/api/v1/apply', role: 'operator', body });
    }
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
    expect(await get('/config/order?defaultToGlobal=true')).toEqual({ compatibilityLevel: 'BACKWARD' });
    expect(await get('/mode')).toEqual({ mode: 'READWRITE' });
    expect(await get('/schemas/types')).toEqual(['JSON', 'AVRO']);
  });

  it('change the mode of contracts that name none, for every process, with one audit entry for each change', async () => {
    const put = async (compatibility: string, role: 'operator' | 'viewer' = 'operator') =>
      api.request({ method: 'PUT', url: '/schema-registry/config', role, body: { compatibility } });
    expect((await put('FULL', 'viewer')).statusCode).toBe(403);
    const unknown = await put('SIDEWAYS');
    expect([unknown.statusCode, unknown.json().error_code]).toEqual([422, 42203]);
    const wide: JsonObject = {
      type: 'object',
      properties: { total: { type: ['number', 'null', 'string'] } },
    };
    const narrow: JsonObject = { type: 'object', properties: { total: { type: 'number' } } };
    const text = (schema: JsonObject) =>
      JSON.stringify({ name: 'order', version: '1.2.0', owner: 'shop', schema });
    const plan = async (schema: JsonObject) =>
      (
        await api.request({
          method: 'POST',
          url: '/api/v1/apply?dryRun=true',
          role: 'operator',
          body: { files: [{ path: 'contracts/order.json', text: text(schema) }] },
        })
      ).statusCode;
    const allowed: Record<string, [number, number]> = {
      BACKWARD: [200, 409],
      BACKWARD_TRANSITIVE: [200, 409],
      FORWARD: [409, 200],
      FORWARD_TRANSITIVE: [409, 200],
      FULL: [409, 409],
      FULL_TRANSITIVE: [409, 409],
      NONE: [200, 200],
    };
    for (const [mode, expected] of Object.entries(allowed)) {
      expect((await put(mode)).json()).toEqual({ compatibility: mode });
      expect((await put(mode)).json()).toEqual({ compatibility: mode });
      expect(await get('/config')).toEqual({ compatibilityLevel: mode });
      expect(await get('/config/order?defaultToGlobal=true')).toEqual({ compatibilityLevel: mode });
      expect([mode, [await plan(wide), await plan(narrow)]]).toEqual([mode, expected]);
      // Another process, with nothing in memory of this one.
      expect(await new DefaultCompatibility(database.db).mode()).toBe(mode);
    }
    const entries = await database.db.query(
      `select from audit_entries where entry like '%default-compatibility-changed%'`,
    );
    expect(entries).toHaveLength(6); // the first of the seven was in force already, and each was put twice
    const own = JSON.stringify({
      name: 'own',
      version: '1.0.0',
      owner: 'shop',
      schema: first,
      compatibility: 'FULL',
    });
    const body = { files: [{ path: 'contracts/own.json', text: own }] };
    await api.request({ method: 'POST', url: '/api/v1/apply', role: 'operator', body });
    expect(await get('/config/own')).toEqual({ compatibilityLevel: 'FULL' });
    await put('BACKWARD');
  });

  it('change it once for all who ask at the same time, and back to what it is without anybody', async () => {
    const changes = async () =>
      (
        await database.db.query(
          `select from audit_entries where entry like '%default-compatibility-changed%'`,
        )
      ).length;
    const before = await changes();
    const ask = (method: 'PUT' | 'DELETE', body?: JsonObject) =>
      api.request({ method, url: '/schema-registry/config', role: 'operator', ...(body && { body }) });
    const answers = await Promise.all(Array.from({ length: 8 }, () => ask('PUT', { compatibility: 'FULL' })));
    expect(new Set(answers.map(({ statusCode }) => statusCode))).toEqual(new Set([200]));
    expect((await changes()) - before).toBe(1);
    expect((await ask('DELETE')).json()).toEqual({ compatibilityLevel: 'FULL' });
    expect(await get('/config')).toEqual({ compatibilityLevel: 'BACKWARD' });
    const stale = new DefaultCompatibility(database.db).change('FULL', 'NONE');
    await expect(database.commit.commit([stale])).rejects.toMatchObject({ code: 'store.conflict' });
  });

  it('answer with Confluent’s error codes', async () => {
    expect(await get('/subjects/nothing/versions')).toMatchObject({ error_code: 40401 });
    expect(await get('/subjects/order/versions/9')).toMatchObject({ error_code: 40402 });
    expect(await get('/schemas/ids/1')).toMatchObject({ error_code: 40403 });
    expect(await post('/subjects/order', { type: 'string' })).toMatchObject({ error_code: 40403 });
  });
});
