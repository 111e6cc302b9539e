import { describe, expect, it } from 'vitest';
import { parseAvro } from '../../../kernel/avro/avro-schema.ts';
import { avroBytes } from '../../../kernel/avro/avro-writing.ts';
import { AiosError } from '../../../kernel/errors.ts';
import type { Json } from '../../../kernel/json.ts';
import { limitsFrom } from '../../../kernel/limits.ts';
import type { RegisteredSchema, ValueSchema } from '../port/schema-registry.ts';
import { wireHeader } from './wire-format.ts';
import { WireWriter } from './wire-writing.ts';

const limits = limitsFrom();
const total = { name: 'total', type: 'double' };
const note = { name: 'note', type: 'string', default: '-' };
const order = (...fields: Json[]): ValueSchema => ({
  type: 'AVRO',
  schema: { type: 'record', name: 'Order', namespace: 'com.acme', fields },
});
const wire = (id: number, { schema }: ValueSchema, value: Json) =>
  Buffer.concat([wireHeader(id), avroBytes(parseAvro(schema), value)]);

function registry() {
  const state = {
    newest: undefined as RegisteredSchema | undefined,
    fault: undefined as string | undefined,
    registered: [] as string[],
  };
  return {
    state,
    byId: async () => undefined,
    latest: async () => state.newest,
    async register(subject: string) {
      if (state.fault) throw new AiosError(state.fault as 'bridges.schema_refused');
      return state.registered.push(subject);
    },
  };
}

type Settings = ConstructorParameters<typeof WireWriter>[0];
const open = (more: Partial<Settings> = {}) => {
  const from = registry();
  const writer = new WireWriter({
    ...{ registry: from, registers: false, limits, contractSchema: () => undefined },
    ...{ subjectOf: (record) => record, ...more },
  });
  return { writer, state: from.state };
};

describe('values are written', () => {
  it('by the newest version of their subject, of Avro and of JSON', async () => {
    const { writer, state } = open({ limits: { ...limits, bridgeSchemaLatestMs: 0 } });
    const write = async (data: Json) => (await writer.writer('t'))(data);
    state.newest = { id: 2, ...order(total, note) };
    expect(await write({ total: 1.5 })).toEqual(wire(2, order(total, note), { total: 1.5, note: '-' }));
    state.newest = { id: 3, type: 'JSON', schema: {} };
    expect(await write({ a: 1 })).toEqual(Buffer.concat([wireHeader(3), Buffer.from('{"a":1}')]));
    for (const newest of [{ id: 4, type: 'PROTOBUF', schema: null }, undefined]) {
      state.newest = newest;
      await expect(write({})).rejects.toMatchObject({ code: 'bridges.schema_missing' });
    }
  });

  it('by their contract, which is registered once, and again when it changes', async () => {
    const contracts = new Map([['t', order(total)]]);
    const { writer, state } = open({ registers: true, contractSchema: (type) => contracts.get(type) });
    const write = async () => (await writer.writer('t'))({ total: 1.5, note: 'x' });
    expect([await write(), await write()]).toEqual(new Array(2).fill(wire(1, order(total), { total: 1.5 })));
    contracts.set('t', structuredClone(order(total))); // as it is read again
    await write();
    contracts.set('t', order(total, note));
    expect(await write()).toEqual(wire(2, order(total, note), { total: 1.5, note: 'x' }));
    expect(state.registered).toEqual(['com.acme.Order', 'com.acme.Order']);
  });

  it.each<[string, ValueSchema | undefined, string]>([
    ['the full name of a record', order(total), 'com.acme.Order'],
    ['the title of a JSON Schema', { type: 'JSON', schema: { title: 'An order' } }, 'An order'],
    ['the type of the event, where the schema has no title', { type: 'JSON', schema: {} }, 'order.placed'],
    [
      'the type of the event, where the schema has no name',
      { type: 'AVRO', schema: 'string' },
      'order.placed',
    ],
  ])('under a subject by %s', async (_, schema, subject) => {
    const { writer, state } = open({ registers: true, contractSchema: () => schema });
    await writer.writer('order.placed');
    expect(state.registered).toEqual([subject]);
  });

  it('not at all without a contract, or where the registry refuses it, and then by it when it does not', async () => {
    const contracts = new Map<string, ValueSchema>();
    const { writer, state } = open({ registers: true, contractSchema: (type) => contracts.get(type) });
    await expect(writer.writer('t')).rejects.toMatchObject({
      code: 'bridges.schema_missing',
      message: expect.stringContaining('no contract “t”'),
    });
    contracts.set('t', order(total));
    state.fault = 'bridges.schema_refused';
    await expect(writer.writer('t')).rejects.toMatchObject({ code: 'bridges.schema_refused' });
    state.fault = undefined;
    expect((await writer.writer('t'))({ total: 2 })).toEqual(wire(1, order(total), { total: 2 }));
  });

  it('not where the data is none of the schema, which is told with the place', async () => {
    const { writer } = open({ registers: true, contractSchema: () => order(total) });
    const write = await writer.writer('t');
    expect(() => write({ total: 'x' })).toThrow(
      expect.objectContaining({
        code: 'bridges.value_unfit',
        message: expect.stringContaining('/data/total: "x" is not a valid double'),
      }),
    );
    expect(() => write(undefined)).toThrow(expect.objectContaining({ code: 'bridges.value_unfit' }));
  });
});
