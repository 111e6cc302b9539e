import { describe, expect, it } from 'vitest';
import { parseAvro } from '../../../kernel/avro/avro-schema.ts';
import { avroBytes } from '../../../kernel/avro/avro-writing.ts';
import { AiosError } from '../../../kernel/errors.ts';
import type { Json } from '../../../kernel/json.ts';
import { limitsFrom } from '../../../kernel/limits.ts';
import type { IncomingMessage } from '../port/protocol.ts';
import type { RegisteredSchema } from '../port/schema-registry.ts';
import { messageOf, messageReader } from './message-mapping.ts';
import { WireReader } from './wire-format.ts';

const record = (...fields: Json[]): Json => ({ type: 'record', name: 'Order', fields });
const total = { name: 'total', type: 'double' };
const note = { name: 'note', type: 'string', default: '-' };
const schemas: RegisteredSchema[] = [
  { id: 1, type: 'AVRO', schema: record(total) },
  { id: 2, type: 'AVRO', schema: record(total, note) },
  { id: 3, type: 'JSON', schema: {} },
  { id: 4, type: 'PROTOBUF', schema: null },
  { id: 5, type: 'AVRO', schema: 'Nothing' },
];
const wire = (id: number, body: Uint8Array) => {
  const header = Buffer.alloc(5);
  header.writeUInt32BE(id, 1);
  return Buffer.concat([header, body]);
};
const avro = (id: number, value: Json) =>
  wire(id, avroBytes(parseAvro(schemas.find((one) => one.id === id)!.schema), value));
const message = (value: Uint8Array | null): IncomingMessage => ({
  ...{ id: '1', headers: {}, topic: 't', position: {} },
  value: value ?? { json: null },
});

function registry(newest = schemas[1]!) {
  const asked: (number | string)[] = [];
  const state = { newest: newest as RegisteredSchema | undefined, isAway: false, known: schemas };
  const answer = (key: number | string, found: RegisteredSchema | undefined) => {
    asked.push(key);
    if (state.isAway) throw new AiosError('bridges.registry_unreachable');
    return found;
  };
  return {
    asked,
    state,
    byId: async (id: number) =>
      answer(
        id,
        state.known.find((one) => one.id === id),
      ),
    latest: async (subject: string) => answer(subject, state.newest),
  };
}

const limits = limitsFrom();
const unpack = async (reader: WireReader, ...values: (Uint8Array | null)[]) =>
  (await reader.unpack(values.map(message))).map(({ unpacked }) => unpacked);

describe('values in the wire format', () => {
  it('are read by the schema that they name, which is asked for once', async () => {
    const from = registry();
    const reader = new WireReader({ registry: from, limits });
    const json = wire(3, Buffer.from('{"total":2}'));
    const found = await unpack(reader, avro(1, { total: 1.5 }), avro(2, { total: 2, note: 'x' }), json, null);
    expect(found).toEqual([
      { json: { total: 1.5 } },
      { json: { total: 2, note: 'x' } },
      { json: { total: 2 } },
      undefined,
    ]);
    await unpack(reader, avro(1, { total: 3 }), json);
    expect(from.asked).toEqual([1, 2, 3]);
  });

  it('are read as the newest version has them, where that is wanted', async () => {
    const from = registry();
    const reader = new WireReader({ registry: from, readAs: 'orders-value', limits });
    expect(await unpack(reader, avro(1, { total: 1.5 }))).toEqual([{ json: { total: 1.5, note: '-' } }]);
    expect(await unpack(reader, avro(1, { total: 1 }))).toEqual([{ json: { total: 1, note: '-' } }]);
    expect(from.asked).toEqual(['orders-value', 1]);
    const later = { ...limits, bridgeSchemaLatestMs: 0 };
    const asking = new WireReader({ registry: from, readAs: 'orders-value', limits: later });
    await unpack(asking, avro(1, { total: 1 }));
    from.state.newest = schemas[0];
    expect(await unpack(asking, avro(2, { total: 1, note: 'x' }))).toEqual([{ json: { total: 1 } }]);
    from.state.newest = undefined;
    await expect(unpack(asking, avro(1, { total: 1 }))).rejects.toMatchObject({
      code: 'bridges.schema_missing',
    });
  });

  it.each<[string, Uint8Array, string]>([
    ['no header', Buffer.from('{"a":1}'), 'does not begin with the byte 0'],
    ['too short', Buffer.from([0, 0, 0]), 'does not begin with the byte 0'],
    ['an unknown id', wire(9, Buffer.alloc(8)), 'no schema of the registry has the id 9'],
    ['another type', wire(4, Buffer.alloc(8)), 'of type PROTOBUF, which is not read'],
    ['a schema that is none', wire(5, Buffer.alloc(8)), 'the schema 5: Not an Avro schema'],
    [
      'bytes that end',
      wire(1, Buffer.alloc(3)),
      'by the schema 1: /total: the bytes end in the middle of a value',
    ],
    ['bytes that go on', wire(1, Buffer.alloc(9)), '1 bytes are left over'],
    ['JSON that is none', wire(3, Buffer.from('{')), 'by the schema 3: '],
    ['JSON that is no UTF-8', wire(3, Buffer.from([0xff])), 'by the schema 3: '],
  ])('that cannot be read are a fault of that message alone: %s', async (_, value, why) => {
    const reader = new WireReader({ registry: registry(), limits });
    const [bad, good] = await unpack(reader, value, avro(1, { total: 1 }));
    expect(bad).toEqual({ fault: expect.stringContaining(why) });
    expect(good).toEqual({ json: { total: 1 } });
  });

  it('with an id that nobody knows are asked for once a batch, and read when the registry has it', async () => {
    const from = registry();
    from.state.known = [];
    const reader = new WireReader({ registry: from, limits });
    await unpack(reader, avro(1, { total: 1 }), avro(1, { total: 2 }));
    expect(from.asked).toEqual([1]);
    from.state.known = schemas;
    expect(await unpack(reader, avro(1, { total: 1 }))).toEqual([{ json: { total: 1 } }]);
  });

  it('wait for a registry that is away, and are read by what is known of it', async () => {
    const from = registry();
    from.state.isAway = true;
    const reader = new WireReader({ registry: from, limits });
    await expect(unpack(reader, avro(1, { total: 1 }))).rejects.toMatchObject({ retryable: true });
    from.state.isAway = false;
    await unpack(reader, avro(1, { total: 1 }));
    from.state.isAway = true;
    expect(await unpack(reader, avro(1, { total: 1 }))).toEqual([{ json: { total: 1 } }]);
  });

  it('keep no more schemas than they may', async () => {
    const from = registry();
    const reader = new WireReader({ registry: from, limits: { ...limits, bridgeSchemasMax: 1 } });
    for (const id of [1, 2, 1]) await unpack(reader, avro(id, { total: 1 }));
    expect(from.asked).toEqual([1, 2, 1]);
  });

  it('may be no larger than an event, however few bytes they have', async () => {
    const from = registry();
    from.state.known = [{ id: 1, type: 'AVRO', schema: { type: 'array', items: 'null' } }];
    const reader = new WireReader({ registry: from, limits });
    const [bomb] = await unpack(reader, wire(1, Buffer.from([0x80, 0x88, 0xde, 0xbe, 0x01, 0])));
    expect(bomb).toEqual({ fault: expect.stringContaining('larger than an event may be') });
  });

  it('of JSON keep the digits of whole numbers past 2^53, as those of Avro do, whoever reads them', async () => {
    const bytes = Buffer.from('{"id":9007199254740993,"n":9007199254740994}');
    const data = { id: '9007199254740993', n: 9007199254740994 };
    const wired = await unpack(new WireReader({ registry: registry(), limits }), wire(3, bytes));
    expect(wired).toEqual([{ json: data }]);
    const events = { type: "'big'", id: 'value.id', subject: 'string(value.n)' };
    const read = messageReader({ bridge: 'b', prefixes: ['ce_'], events, limits, nowMs: Date.now });
    expect(read(message(bytes))).toMatchObject({ id: data.id, subject: '9007199254740994', data });
    const headers = { ce_specversion: '1.0', ce_id: 'e1', ce_source: 's', ce_type: 'big' };
    expect(read({ ...message(bytes), headers, contentType: 'application/json' })).toMatchObject({ data });
  });

  it('are the data of events in binary mode, and what expressions see of others', async () => {
    const reader = new WireReader({ registry: registry(), limits });
    const [{ unpacked } = { unpacked: undefined }] = await reader.unpack([message(avro(1, { total: 1.5 }))]);
    const come = { ...message(avro(1, { total: 1.5 })), unpacked, contentType: 'application/avro' };
    const read = (events: Record<string, string> | undefined, more: Partial<IncomingMessage>) =>
      messageReader({ bridge: 'b', prefixes: ['ce_'], events, limits, nowMs: Date.now })({
        ...come,
        ...more,
      });
    const headers = { ce_specversion: '1.0', ce_id: 'e1', ce_source: 's', ce_type: 'order.placed' };
    expect(read(undefined, { headers })).toMatchObject({
      ...{ id: 'e1', datacontenttype: 'application/json', data: { total: 1.5 } },
    });
    expect(read({ type: "'big'", subject: 'string(value.total)' }, {})).toMatchObject({
      ...{ type: 'big', subject: '1.5', data: { total: 1.5 } },
    });
    const rejected = read({ type: "'big'" }, { unpacked: { fault: 'no schema' } });
    expect(rejected).toMatchObject({ error: { code: 'bridges.value_invalid' } });
    // What is kept is the value as it came, to be read again.
    const letter = messageOf((rejected as { letter: Parameters<typeof messageOf>[0] }).letter)!;
    expect([letter.value, letter.unpacked]).toEqual([come.value, undefined]);
  });
});
