import { describe, expect, it } from 'vitest';
import type { JsonObject } from '../kernel/json.ts';
import { openedApi, requestsBelow } from './opened-api-under-test.ts';

const objectOf = (properties: JsonObject): JsonObject => ({ type: 'object', properties });
const number = objectOf({ total: { type: 'number' } });
const nullable = objectOf({ total: { type: ['number', 'null'] } });
const integer = objectOf({ total: { type: 'integer' } });
type Role = 'viewer' | 'operator';

describe('registering schemas as Confluent’s clients do', () => {
  const { api, database } = openedApi();
  const ask = requestsBelow(api, '/schema-registry');
  const bodyOf = (schema: JsonObject) => ({ schemaType: 'JSON', schema: JSON.stringify(schema) });
  const register = (subject: string, schema: JsonObject, role?: Role) =>
    ask('POST', `/subjects/${subject}/versions`, bodyOf(schema), role);
  const contract = async (name: string) =>
    (await api.request({ url: `/api/v1/contracts/${name}`, role: 'viewer' })).json();

  it('makes a contract, then its next versions, and answers the same id for the same schema', async () => {
    const [status, first] = await register('order-value', number);
    expect([status, first]).toMatchObject([200, { subject: 'order', version: 1, schemaType: 'JSON' }]);
    expect((await contract('order')).body).toMatchObject({ name: 'order', version: '1.0.0', schema: number });
    const [, second] = await register('order-value', nullable);
    expect(second).toMatchObject({ version: 2 });
    expect((await contract('order')).body.version).toBe('1.1.0');
    expect((await register('order-value', number))[1].id).toBe(first.id);
    expect((await register('order', nullable))[1].id).toBe(second.id);
    expect(await ask('GET', '/subjects/order-value/versions')).toEqual([200, [1, 2]]);
    expect(await ask('GET', `/schemas/ids/${first.id}/schema`)).toEqual([200, number]);
    expect(await ask('GET', `/schemas/ids/${second.id}/subjects`)).toEqual([200, ['order']]);
  });

  it('refuses what breaks the mode, and tells what does', async () => {
    await register('paid', number);
    const [status, { error_code, message }] = await register('paid', integer);
    expect([status, error_code]).toEqual([409, 409]);
    expect(message).toMatch(/TYPE_NARROWED/);
    const path = '/compatibility/subjects/paid/versions';
    expect(await ask('POST', path, bodyOf(integer))).toEqual([200, { is_compatible: false }]);
    expect(await ask('POST', `${path}?verbose=true`, bodyOf(nullable))).toEqual([
      200,
      { is_compatible: true, messages: [] },
    ]);
    const fresh = '/compatibility/subjects/fresh/versions';
    expect(await ask('POST', fresh, bodyOf(integer))).toEqual([200, { is_compatible: true }]);
  });

  it('gives those who may not change definitions what is there, and nothing else', async () => {
    const [, { id }] = await register('shown', number);
    expect((await register('shown', number, 'viewer'))[1].id).toBe(id);
    for (const subject of ['shown', 'unseen']) {
      const [status, { error_code }] = await register(subject, nullable, 'viewer');
      expect([status, error_code]).toEqual([403, 40301]);
    }
  });

  it('is one version when producers register it at the same time', async () => {
    const made = await Promise.all(Array.from({ length: 8 }, () => register('busy', number)));
    expect(made.map(([status]) => status)).toEqual(made.map(() => 200));
    expect(new Set(made.map(([, { id }]) => id)).size).toBe(1);
    expect(await ask('GET', '/subjects/busy/versions')).toEqual([200, [1]]);
  });

  it('holds a contract to a mode of its own, and to that of all again', async () => {
    await register('moded', number);
    expect(await ask('GET', '/config/moded')).toMatchObject([404, { error_code: 40408 }]);
    expect(await ask('PUT', '/config/moded', { compatibility: 'NONE' })).toEqual([
      200,
      { compatibility: 'NONE' },
    ]);
    expect(await ask('GET', '/config/moded-value')).toEqual([200, { compatibilityLevel: 'NONE' }]);
    expect(await register('moded', integer)).toMatchObject([200, { version: 2 }]);
    expect((await contract('moded')).body).toMatchObject({ version: '2.0.0', compatibility: 'NONE' });
    expect(await ask('DELETE', '/config/moded')).toEqual([200, { compatibilityLevel: 'NONE' }]);
    expect(await ask('GET', '/config/moded?defaultToGlobal=true')).toEqual([
      200,
      { compatibilityLevel: 'BACKWARD' },
    ]);
    expect((await ask('DELETE', '/config/moded'))[1]).toMatchObject({ error_code: 40408 });
    expect((await ask('PUT', '/config/moded', { compatibility: 'FULL' }, 'viewer'))[0]).toBe(403);
  });

  it('lists the subjects of a prefix', async () => {
    await register('prefixed.one', number);
    await register('prefixed.two', number);
    const expected = [200, ['prefixed.one', 'prefixed.two']];
    expect(await ask('GET', '/subjects?subjectPrefix=prefixed.')).toEqual(expected);
    expect(await ask('GET', '/subjects?subjectPrefix=:*:prefixed.')).toEqual(expected);
  });

  it('finds an id in one question, however many contracts there are', async () => {
    const [, { id }] = await register('prefixed.three', number);
    const { db } = database;
    const asked: string[] = [];
    const { query } = db;
    db.query = (text, values) => {
      asked.push(text);
      return query.call(db, text, values) as never;
    };
    try {
      expect((await ask('GET', `/schemas/ids/${id}`))[0]).toBe(200);
      expect(asked.filter((text) => text.includes('from contract_schema_ids'))).toHaveLength(1);
      // The versions of the one that was found: definitions, deprecations, deletions, the default mode.
      expect(asked.filter((text) => /from (definitions |contract_)/.test(text))).toHaveLength(5);
    } finally {
      db.query = query;
    }
  });
});

describe('what Confluent’s registry refuses', () => {
  const { api, database } = openedApi();

  const schema = JSON.stringify(number);
  it.each<['GET' | 'POST' | 'PUT' | 'DELETE', string, string, number, number]>([
    ['GET', '/subjects/return.requested/versions/abc', '', 422, 42202],
    ['GET', '/subjects/return.requested/versions/99999999999', '', 422, 42202],
    ['GET', '/subjects/return.requested/versions/9', '', 404, 40402],
    ['GET', '/schemas/ids/x', '', 404, 40403],
    ['GET', '/schemas/ids/0', '', 404, 40403],
    ['GET', '/nothing', '', 404, 404],
    ['POST', '/subjects/a/versions', '{"schema":', 400, 400],
    ['POST', '/subjects/a/versions', '', 422, 422],
    ['POST', '/subjects/a/versions', '{}', 422, 422],
    ['POST', '/subjects/a/versions', '[]', 422, 422],
    ['POST', '/subjects/a/versions', '{"schemaType":"JSON","schema":"{"}', 422, 42201],
    ['POST', '/subjects/a/versions', '{"schemaType":"JSON","schema":"{\\"type\\":\\"x\\"}"}', 422, 42201],
    ['POST', '/subjects/a/versions', JSON.stringify({ schema }), 422, 42201],
    ['POST', '/subjects/a/versions', JSON.stringify({ schema, schemaType: 'PROTOBUF' }), 422, 42201],
    ['POST', '/subjects/a/versions', JSON.stringify({ schema: 'string' }), 422, 42201],
    ['POST', '/subjects/a/versions', JSON.stringify({ schema: '{"type":"record","name":"R"}' }), 422, 42201],
    ['POST', '/subjects/a/versions', JSON.stringify({ schema: '["null","null"]' }), 422, 42201],
    [
      'POST',
      '/subjects/a/versions',
      JSON.stringify({ schema: `${'['.repeat(200)}${']'.repeat(200)}` }),
      422,
      42201,
    ],
    [
      'POST',
      '/subjects/a/versions',
      JSON.stringify({
        schema: '"n.Money"',
        references: [{ name: 'n.Money', subject: 'return.requested', version: 1 }],
      }),
      422,
      42201,
    ],
    [
      'POST',
      '/subjects/a/versions',
      JSON.stringify({ schema, schemaType: 'JSON', references: [{ name: 'b' }] }),
      422,
      42201,
    ],
    ['POST', '/compatibility/subjects/return.requested/versions/abc', JSON.stringify({ schema }), 422, 42202],
    ['PUT', '/config/return.requested', '{"compatibility":"SIDEWAYS"}', 422, 42203],
    ['PUT', '/config/nothing', '{"compatibility":"FULL"}', 404, 40401],
    ['POST', '/subjects/return.requested', JSON.stringify({ schema }), 422, 42201],
    ['POST', '/compatibility/subjects/a/versions', JSON.stringify({ schema: '"text"' }), 422, 42201],
    [
      'POST',
      '/subjects/a/versions',
      JSON.stringify({
        ...{ schema, schemaType: 'JSON' },
        references: Array.from({ length: 101 }, (_, n) => ({ name: `r${n}`, subject: 'b', version: 1 })),
      }),
      422,
      42201,
    ],
    ['PUT', '/mode', '{"mode":"SIDEWAYS"}', 422, 42204],
    ['PUT', '/mode', '{"mode":"READONLY_OVERRIDE"}', 422, 42205],
    ['PUT', '/mode/return.requested', '{"mode":"IMPORT"}', 422, 42205],
    ['PUT', '/mode/return.requested', '{"mode":"toString"}', 422, 42204],
    ['GET', '/mode/return.requested', '', 404, 40409],
    ['DELETE', '/mode/return.requested', '', 404, 40409],
    ['DELETE', '/subjects/nothing', '', 404, 40401],
    ['DELETE', '/subjects/return.requested/versions/9', '', 404, 40402],
    ['DELETE', '/subjects/return.requested/versions/abc', '', 422, 42202],
    ['DELETE', '/subjects/return.requested', '', 422, 42206],
    ['DELETE', '/subjects/return.requested?permanent=true', '', 404, 40405],
    ['DELETE', '/subjects/return.requested/versions/1?permanent=true', '', 404, 40407],
  ])('is answered by its codes: %s %s %s', async (method, path, payload, status, code) => {
    const response = await api.server.inject({
      method,
      url: `/schema-registry${path}`,
      headers: {
        authorization: `Bearer ${api.keys.operator}`,
        ...(payload === '' && method !== 'POST'
          ? {}
          : { 'content-type': 'application/vnd.schemaregistry.v1+json' }),
      },
      ...(payload === '' && method !== 'POST' ? {} : { payload }),
    });
    expect([response.statusCode, response.json().error_code, response.json().message]).toEqual([
      status,
      code,
      expect.stringMatching(/\w/),
    ]);
    expect(api.faults).toEqual([]);
  });

  it('tells no caller what was not foreseen, and tells the log', async () => {
    const { query } = database.db;
    database.db.query = () => Promise.reject(new Error('relation secret_table does not exist'));
    try {
      const response = await api.request({ url: '/schema-registry/config', role: 'viewer' });
      expect([response.statusCode, response.json().error_code]).toEqual([500, 50001]);
      expect(response.body).not.toMatch(/secret_table/);
    } finally {
      database.db.query = query;
    }
    expect(api.faults.map(({ message }) => message)).toEqual(['relation secret_table does not exist']);
  });
});
