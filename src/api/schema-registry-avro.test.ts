import { describe, expect, it } from 'vitest';
import type { Json, JsonObject } from '../kernel/json.ts';
import { openedApi, requestsBelow } from './opened-api-under-test.ts';

const record = (fields: Json[], more: JsonObject = {}): JsonObject => ({
  ...{ type: 'record', name: 'Order', namespace: 'com.acme', fields },
  ...more,
});
const total = { name: 'total', type: 'double' };
const note = { name: 'note', type: ['null', 'string'], default: null };
const first = record([total]);
const second = record([total, note]);
const demanding = record([total, { name: 'shop', type: 'string' }]);

describe('schemas of Avro in Confluent’s registry', () => {
  const { api } = openedApi();
  const ask = requestsBelow(api, '/schema-registry');
  /** As serializers send it: without a type. */
  const avro = (schema: Json, references?: Json) => ({
    schema: JSON.stringify(schema),
    ...(references ? { references } : {}),
  });
  const register = (subject: string, schema: Json, references?: Json) =>
    ask('POST', `/subjects/${subject}/versions`, avro(schema, references));
  const contract = async (name: string) =>
    (await api.request({ url: `/api/v1/contracts/${name}`, role: 'viewer' })).json();

  it('become contracts, whose JSON Schema follows from them, and their next versions', async () => {
    const [status, made] = await register('orders-value', first);
    expect([status, made]).toEqual([
      200,
      { subject: 'orders', version: 1, id: expect.any(Number), schema: JSON.stringify(first) },
    ]);
    expect((await contract('orders')).body).toMatchObject({
      ...{ name: 'orders', version: '1.0.0', avro: first },
      schema: { type: 'object', required: ['total'] },
    });
    const [, next] = await register('orders-value', second);
    expect(next.version).toBe(2);
    expect((await contract('orders')).body).toMatchObject({ version: '1.1.0', avro: second });
    expect(await ask('GET', `/schemas/ids/${made.id}`)).toEqual([200, { schema: JSON.stringify(first) }]);
    expect(await ask('GET', `/schemas/ids/${made.id}/schema`)).toEqual([200, first]);
    expect(await ask('GET', '/subjects/orders-value/versions/latest/schema')).toEqual([200, second]);
    expect(await ask('POST', '/subjects/orders-value', avro(first))).toEqual([200, made]);
  });

  it('are the same however they are written, and other ones when they say something else', async () => {
    const [, { id }] = await register('same', first);
    const other: Json[] = [
      { fields: [{ type: { type: 'double' }, name: 'total' }], name: 'com.acme.Order', type: 'record' },
      { ...first, name: 'com.acme.Order', namespace: 'ignored' },
    ];
    for (const schema of other) expect((await register('same', schema))[1].id).toBe(id);
    const [, described] = await register('same', { ...first, doc: 'What was ordered' });
    expect([described.version, described.id === id]).toEqual([2, false]);
    expect((await contract('same')).body.version).toBe('1.0.1');
    // What follows from it as JSON Schema is another schema.
    const { schema } = (await contract('same')).body;
    const [status] = await ask('POST', '/subjects/same', {
      schemaType: 'JSON',
      schema: JSON.stringify(schema),
    });
    expect(status).toBe(404);
  });

  it('are held to the seven modes by what readers make of what was written', async () => {
    const narrower = record([{ name: 'total', type: 'float' }]);
    const optional = record([{ ...total, default: 0 }]);
    // Against a version with `total`: a field more, a field with another type, a default, no field.
    const changes = [demanding, narrower, optional, record([])];
    const allowed: Record<string, boolean[]> = {
      BACKWARD: [false, false, true, true],
      BACKWARD_TRANSITIVE: [false, false, true, true],
      FORWARD: [true, true, true, false],
      FORWARD_TRANSITIVE: [true, true, true, false],
      FULL: [false, false, true, false],
      FULL_TRANSITIVE: [false, false, true, false],
      NONE: [true, true, true, true],
    };
    await register('moded', first);
    for (const [mode, expected] of Object.entries(allowed)) {
      expect((await ask('PUT', '/config/moded', { compatibility: mode }))[0]).toBe(200);
      const told = await Promise.all(
        changes.map((change) => ask('POST', '/compatibility/subjects/moded/versions', avro(change))),
      );
      expect([mode, told.map(([, { is_compatible }]) => is_compatible)]).toEqual([mode, expected]);
    }
    expect(new Set(Object.keys(allowed)).size).toBe(7);
  });

  it('are held to all versions where the mode is transitive', async () => {
    const text = record([{ name: 'a', type: 'string' }]);
    const none = record([]);
    const number = record([{ name: 'a', type: 'int', default: 0 }]);
    for (const schema of [text, none]) expect((await register('long', schema))[0]).toBe(200);
    const path = '/compatibility/subjects/long/versions';
    expect(await ask('POST', path, avro(number))).toEqual([200, { is_compatible: true }]);
    await ask('PUT', '/config/long', { compatibility: 'BACKWARD_TRANSITIVE' });
    expect(await ask('POST', `${path}?verbose=true`, avro(number))).toEqual([
      200,
      {
        is_compatible: false,
        messages: ['/fields/0/type: Data of the previous version: int does not read string. (TYPE_MISMATCH)'],
      },
    ]);
    expect((await ask('POST', `${path}/2`, avro(number)))[1]).toEqual({ is_compatible: true });
    expect((await ask('POST', `${path}/1`, avro(number)))[1]).toEqual({ is_compatible: false });
  });

  it('are refused with the place, and so is another type of schema', async () => {
    await register('kept', first);
    const [status, { error_code, message }] = await register('kept', demanding);
    expect([status, error_code]).toEqual([409, 409]);
    expect(message).toMatch(/\/fields\/1: .*“shop”.*READER_FIELD_MISSING_DEFAULT_VALUE/);
    const json = { schemaType: 'JSON', schema: '{"type":"object"}' };
    const [other, problem] = await ask('POST', '/subjects/kept/versions', json);
    expect([other, problem.message]).toEqual([409, expect.stringContaining('SCHEMA_TYPE_CHANGED')]);
    await ask('PUT', '/config/kept', { compatibility: 'NONE' });
    expect(await ask('POST', '/subjects/kept/versions', json)).toMatchObject([
      200,
      { version: 2, schemaType: 'JSON' },
    ]);
    expect((await contract('kept')).body).toMatchObject({ version: '2.0.0', schema: { type: 'object' } });
    expect((await contract('kept')).body).not.toHaveProperty('avro');
  });

  it('say what is wrong with what is none, and what was taken for one', async () => {
    const faulty = record([{ name: 'a', type: { type: 'array', items: 'Money' } }]);
    const [, { message }] = await register('faulty', faulty);
    expect(message).toContain('/fields/0/type/items: there is no type “Money”');
    const [, untyped] = await ask('POST', '/subjects/faulty/versions', { schema: '{"type":"object"}' });
    expect(untyped.message).toContain('Without schemaType it is taken for one of Avro');
    const [, proto] = await ask('POST', '/subjects/faulty/versions', {
      ...{ schemaType: 'PROTOBUF', schema: 'syntax = "proto3";' },
    });
    expect(proto).toMatchObject({ error_code: 42201, message: expect.stringContaining('AVRO or JSON') });
  });

  it('hold those that they refer to, whatever becomes of them', async () => {
    const money = { type: 'record', name: 'com.acme.Money', fields: [{ name: 'amount', type: 'long' }] };
    const price = record(
      [
        { name: 'net', type: 'Money' },
        { name: 'gross', type: 'Money' },
      ],
      { name: 'Price' },
    );
    const cart = record(
      [
        { name: 'money', type: 'Money' },
        { name: 'price', type: 'Price' },
      ],
      { name: 'Cart' },
    );
    expect((await register('price', price))[1].error_code).toBe(42201);
    await register('money', money);
    const of = (subject: string, name: string) => ({ name: `com.acme.${name}`, subject, version: 1 });
    const [status, made] = await register('price', price, [of('money', 'Money')]);
    expect(status).toBe(200);
    expect(JSON.parse(made.schema)).toEqual({
      ...{ type: 'record', name: 'com.acme.Price' },
      fields: [
        { name: 'net', type: money },
        { name: 'gross', type: 'com.acme.Money' },
      ],
    });
    expect((await register('price', price, [of('money', 'Money')]))[1].id).toBe(made.id);
    // Both of these have Money: it is defined once.
    const both = await register('cart', cart, [of('price', 'Price'), of('money', 'Money')]);
    expect(both[0]).toBe(200);
    expect(both[1].schema.match(/"amount"/g)).toHaveLength(1);
    await ask('DELETE', '/subjects/money');
    expect((await ask('GET', '/subjects/price/versions/1/schema'))[1]).toEqual(JSON.parse(made.schema));
  });

  it('are deleted and come back with their number and id', async () => {
    const [, { id }] = await register('draft', first);
    expect(await ask('DELETE', '/subjects/draft')).toEqual([200, [1]]);
    expect(await ask('GET', `/schemas/ids/${id}/schema`)).toEqual([200, first]);
    expect(await register('draft', first)).toMatchObject([200, { id, version: 1 }]);
  });

  it('are one version when producers register one at the same time', async () => {
    const made = await Promise.all(Array.from({ length: 8 }, () => register('busy', first)));
    expect(new Set(made.map(([, { id }]) => id)).size).toBe(1);
    expect(await ask('GET', '/subjects/busy/versions')).toEqual([200, [1]]);
  });
});
