import { describe, expect, it } from 'vitest';
import type { JsonObject } from '../kernel/json.ts';
import { openedApi, requestsBelow } from './opened-api-under-test.ts';

const objectOf = (properties: JsonObject): JsonObject => ({ type: 'object', properties });
const number = objectOf({ total: { type: 'number' } });
const nullable = objectOf({ total: { type: ['number', 'null'] } });
type Method = 'GET' | 'POST' | 'PUT' | 'DELETE';

describe('Confluent’s registry routes', () => {
  const { api, database } = openedApi();
  const ask = requestsBelow(api, '/schema-registry');
  const bodyOf = (schema: JsonObject, references: JsonObject[] = []) => ({
    ...{ schemaType: 'JSON', schema: JSON.stringify(schema), references },
  });
  const register = async (subject: string, schema: JsonObject, references?: JsonObject[]) =>
    (await ask('POST', `/subjects/${subject}/versions`, bodyOf(schema, references)))[1];
  const refused = async (method: Method, path: string) => {
    const [status, { error_code }] = await ask(method, path);
    return [status, error_code];
  };
  const send = async (id: string, type: string, data: JsonObject, more: JsonObject = {}) => {
    const response = await api.request({
      ...{ method: 'POST', url: '/api/v1/events', role: 'admin' },
      headers: { 'content-type': 'application/cloudevents+json' },
      body: { specversion: '1.0', id, source: 'urn:test', type, data, ...more },
    });
    return response.json();
  };

  it('delete versions softly, then for good; their numbers and ids are of no other', async () => {
    const first = await register('gone', number);
    const second = await register('gone', nullable);
    expect(await ask('DELETE', '/subjects/gone/versions/1')).toEqual([200, 1]);
    expect(await refused('DELETE', '/subjects/gone/versions/1')).toEqual([404, 40406]);
    expect(await refused('GET', '/subjects/gone/versions/1')).toEqual([404, 40402]);
    expect(await ask('GET', '/subjects/gone/versions')).toEqual([200, [2]]);
    expect(await ask('GET', '/subjects/gone/versions?deleted=true')).toEqual([200, [1, 2]]);
    expect(await ask('GET', '/subjects/gone/versions?deletedOnly=true')).toEqual([200, [1]]);
    expect((await ask('GET', '/subjects/gone/versions/1?deleted=true'))[1]).toMatchObject({ id: first.id });
    expect(await ask('GET', `/schemas/ids/${first.id}/schema`)).toEqual([200, number]);
    expect(await ask('GET', `/schemas/ids/${first.id}/versions`)).toEqual([200, []]);
    expect(await ask('GET', `/schemas/ids/${first.id}/versions?deleted=true`)).toEqual([
      200,
      [{ subject: 'gone', version: 1 }],
    ]);
    expect((await ask('POST', '/subjects/gone', bodyOf(number)))[1]).toMatchObject({ error_code: 40403 });
    expect((await ask('POST', '/subjects/gone?deleted=true', bodyOf(number)))[1]).toMatchObject({
      version: 1,
    });
    expect(await refused('DELETE', '/subjects/gone/versions/2?permanent=true')).toEqual([404, 40407]);
    expect(await ask('DELETE', '/subjects/gone/versions/1?permanent=true')).toEqual([200, 1]);
    expect(await refused('GET', '/subjects/gone/versions/1?deleted=true')).toEqual([404, 40402]);
    expect(await refused('GET', `/schemas/ids/${first.id}`)).toEqual([404, 40403]);
    expect(await ask('DELETE', '/subjects/gone/versions/latest')).toEqual([200, 2]);
    expect(await refused('GET', '/subjects/gone/versions')).toEqual([404, 40401]);
    expect((await ask('GET', '/subjects'))[1]).not.toContain('gone');
    expect((await ask('GET', '/subjects?deleted=true'))[1]).toContain('gone');
    expect((await ask('GET', '/subjects?deletedOnly=true'))[1]).toEqual(['gone']);
    // Registered again it is what it was.
    expect(await register('gone', nullable)).toMatchObject({ id: second.id, version: 2 });
    expect(await ask('GET', '/subjects/gone/versions')).toEqual([200, [2]]);
    expect(await register('gone', number)).toMatchObject({ id: first.id, version: 1 });
    expect((await ask('GET', '/subjects'))[1]).toContain('gone');
  });

  it('delete a subject that is not in use, once for all who ask, on record', async () => {
    await register('whole', number);
    await register('whole', nullable);
    expect((await ask('DELETE', '/subjects/whole', undefined, 'viewer'))[0]).toBe(403);
    const answers = await Promise.all(
      Array.from({ length: 4 }, () => ask('DELETE', '/subjects/whole-value')),
    );
    expect(answers.filter(([status]) => status === 200)).toEqual([[200, [1, 2]]]);
    expect(answers.filter(([, { error_code }]) => error_code === 40404)).toHaveLength(3);
    expect(await refused('DELETE', '/config/whole')).toEqual([404, 40401]);
    expect(await refused('GET', '/config/whole')).toEqual([404, 40401]);
    expect(await ask('DELETE', '/subjects/whole?permanent=true')).toEqual([200, [1, 2]]);
    expect(await refused('DELETE', '/subjects/whole?permanent=true')).toEqual([404, 40401]);
    const entries = await database.db.query(
      `select from audit_entries where entry like '%deleted-in-registry%' and entry like '%contract:whole"%'`,
    );
    expect(entries).toHaveLength(2);
  });

  it('keep the version that is in force for what names it and for the events of the log, which stay valid', async () => {
    await register('kept', number);
    expect(await send('k1', 'kept', { total: 1 })).toMatchObject({ accepted: 1 });
    await register('kept', nullable);
    const [status, { error_code, message }] = await ask('DELETE', '/subjects/kept');
    expect([status, error_code]).toEqual([422, 42206]);
    expect(message).toMatch(/1\.1\.0 .* events in the log/);
    expect(await refused('DELETE', '/subjects/kept/versions/latest')).toEqual([422, 42206]);
    expect((await ask('DELETE', '/subjects/return.requested'))[1].message).toMatch(/workflow/);
    expect(await ask('DELETE', '/subjects/kept/versions/1')).toEqual([200, 1]);
    expect(await ask('DELETE', '/subjects/kept/versions/1?permanent=true')).toEqual([200, 1]);
    // Producers that still name the old version, and readers of what it wrote, see no difference.
    const named = await send('k2', 'kept', { total: 2 }, { dataversion: '1.0.0' });
    expect(named).toMatchObject({ accepted: 1 });
    const listed = await api.request({ url: '/api/v1/events?type=kept', role: 'admin' });
    expect(listed.json().items).toHaveLength(2);
  });

  it('keep a schema whole with what it refers to, which answers for it afterwards', async () => {
    const money = {
      $id: 'https://shop/money.json',
      type: 'object',
      properties: { in: { $ref: '#/$defs/unit' } },
    };
    await register('money', { ...money, $defs: { unit: { enum: ['EUR', 'USD'] } } });
    const invoice = objectOf({ total: { $ref: 'money.json' }, unit: { $ref: 'money.json#/$defs/unit' } });
    const references = [{ name: 'money.json', subject: 'money', version: 1 }];
    const sent = bodyOf(invoice, references);
    const { id, schema } = await register('invoice', invoice, references);
    expect(JSON.parse(schema)).toMatchObject({
      properties: { total: { $ref: '#/$defs/money.json' }, unit: { $ref: '#/$defs/money.json/$defs/unit' } },
      $defs: { 'money.json': { properties: { in: { $ref: '#/$defs/money.json/$defs/unit' } } } },
    });
    expect((await ask('POST', '/subjects/invoice', sent))[1]).toMatchObject({ id, version: 1 });
    expect((await register('invoice', invoice, references)).id).toBe(id);
    expect(await ask('POST', '/compatibility/subjects/invoice/versions/latest', sent)).toEqual([
      200,
      { is_compatible: true },
    ]);
    expect(await ask('GET', '/subjects/money/versions/1/referencedby')).toEqual([200, [id]]);
    // Without the schema that refers to it, it may go; what is left means the same.
    const [status, { error_code, message }] = await ask('DELETE', '/subjects/money');
    expect([status, error_code, message]).toEqual([
      422,
      42206,
      expect.stringMatching(/subject=money,version=1\}: from version 1 of invoice/),
    ]);
    expect(await refused('DELETE', '/subjects/money/versions/1')).toEqual([422, 42206]);
    expect(await ask('DELETE', '/subjects/invoice')).toEqual([200, [1]]);
    expect(await ask('GET', '/subjects/money/versions/1/referencedby')).toEqual([200, []]);
    expect(await ask('DELETE', '/subjects/money')).toEqual([200, [1]]);
    expect((await ask('GET', `/schemas/ids/${id}`))[1].schema).toBe(schema);
    expect(await send('i1', 'invoice', { total: { in: 'EUR' }, unit: 'USD' })).toMatchObject({
      accepted: 1,
    });
    for (const data of [{ total: { in: 'GBP' } }, { unit: 'GBP' }])
      expect(JSON.stringify(await send('i2', 'invoice', data))).toMatch(/data_invalid/);
    const gone = await ask('POST', '/subjects/other/versions', sent);
    expect(gone).toMatchObject([422, { error_code: 42201, message: expect.stringMatching(/"money".*1/) }]);
  });

  it('say of each version by which it is referred to, as it was registered last', async () => {
    const [unit, other] = [{ enum: ['EUR'] }, { enum: ['EUR', 'USD'] }];
    await register('unit', unit);
    await register('unit', other);
    const ids = [];
    for (const [version, subject] of [
      [1, 'first'],
      [2, 'second'],
      [-1, 'third'],
    ] as const)
      ids.push(
        (
          await register(subject, objectOf({ u: { $ref: 'u' } }), [
            { name: 'u', subject: 'unit-value', version },
          ])
        ).id,
      );
    const referring = async (version: number) =>
      (await ask('GET', `/subjects/unit/versions/${version}/referencedby`))[1];
    const both = [ids[1], ids[2]].sort((a, b) => a - b);
    expect([await referring(1), await referring(2)]).toEqual([[ids[0]], both]);
    expect(
      (await api.request({ url: '/api/v1/contracts/third', role: 'viewer' })).json().body.references,
    ).toEqual([{ name: 'u', contract: 'unit', version: '1.1.0' }]);
    // The next version of one refers to what it was registered with, and the one before stays.
    await register('first', objectOf({ u: { $ref: 'u' }, n: { type: 'number' } }));
    expect(await referring(1)).toEqual([ids[0]]);
    expect(await ask('DELETE', '/subjects/first/versions/1')).toEqual([200, 1]);
    expect([await referring(1), await referring(2)]).toEqual([[], both]);
    expect(await ask('DELETE', '/subjects/unit/versions/1')).toEqual([200, 1]);
    expect(await refused('DELETE', '/subjects/unit')).toEqual([422, 42206]);
    expect(await refused('GET', '/subjects/unit/versions/9/referencedby')).toEqual([404, 40402]);
    // Registered again it refers to it again, and that is not deleted for good.
    for (const subject of ['second', 'third'])
      expect((await ask('DELETE', `/subjects/${subject}`))[0]).toBe(200);
    expect(await ask('DELETE', '/subjects/unit')).toEqual([200, [2]]);
    const { schema } = (await ask('GET', `/schemas/ids/${ids[1]}`))[1];
    expect((await register('second', JSON.parse(schema))).id).toBe(ids[1]);
    expect(await refused('DELETE', '/subjects/unit?permanent=true')).toEqual([422, 42206]);
  });

  it('change nothing of a subject that is read-only, alone or with all others, until it is set back', async () => {
    await register('moded', number);
    const READONLY = { mode: 'READONLY' };
    const changes = async () => {
      const [status, { error_code }] = await ask('POST', '/subjects/moded-value/versions', bodyOf(nullable));
      return [
        [status, error_code],
        await refused('DELETE', '/subjects/moded/versions/1'),
        await refused('DELETE', '/subjects/moded'),
        await ask('PUT', '/config/moded', { compatibility: 'FULL' }).then(([code, body]) => [
          code,
          body.error_code,
        ]),
      ];
    };
    const refusedAll = Array.from({ length: 4 }, () => [422, 42205]);
    expect((await ask('PUT', '/mode/moded', READONLY, 'viewer'))[0]).toBe(403);
    expect(await ask('PUT', '/mode/moded-value', READONLY)).toEqual([200, READONLY]);
    expect(await ask('PUT', '/mode/moded', READONLY)).toEqual([200, READONLY]);
    expect(await ask('GET', '/mode/moded')).toEqual([200, READONLY]);
    expect(await ask('GET', '/mode')).toEqual([200, { mode: 'READWRITE' }]);
    expect(await changes()).toEqual(refusedAll);
    expect((await register('moded', number)).version).toBe(1); // what is there is answered
    expect((await register('unmoded', number)).version).toBe(1);
    // A mode of its own comes before that of all.
    expect(await ask('PUT', '/mode', READONLY)).toEqual([200, READONLY]);
    expect(await ask('PUT', '/mode/unmoded', { mode: 'READWRITE' })).toEqual([200, { mode: 'READWRITE' }]);
    expect((await register('unmoded', nullable)).version).toBe(2);
    expect(await ask('DELETE', '/mode/moded')).toEqual([200, READONLY]);
    expect(await refused('DELETE', '/mode/moded')).toEqual([404, 40409]);
    expect(await ask('GET', '/mode/moded?defaultToGlobal=true')).toEqual([200, READONLY]);
    expect(await changes()).toEqual(refusedAll);
    for (const method of ['PUT', 'DELETE'] as const)
      expect((await ask(method, '/config', { compatibility: 'FULL' }))[1]).toMatchObject({
        error_code: 42205,
      });
    expect(await ask('PUT', '/mode', { mode: 'READWRITE' })).toEqual([200, { mode: 'READWRITE' }]);
    expect(await ask('GET', '/mode/gone?defaultToGlobal=true')).toEqual([200, { mode: 'READWRITE' }]);
    expect((await register('moded', nullable)).version).toBe(2);
    const entries = await database.db.query(
      "select from audit_entries where entry like '%registry-mode-changed%'",
    );
    expect(entries).toHaveLength(5); // one was set twice
  });

  it('have one context', async () => {
    expect(await ask('GET', '/contexts')).toEqual([200, ['.']]);
  });
});
