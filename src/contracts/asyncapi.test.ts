import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Ajv } from 'ajv';
import { describe, expect, it } from 'vitest';
import { isObject, type Json, type JsonObject } from '../kernel/json.ts';
import { compileSchema, pointerNames } from '../kernel/schema.ts';
import { npmPackage } from '../testing/npm-package.ts';
import { asyncApiDocument } from './asyncapi.ts';
import type { ContractBody } from './contract-body.ts';

const order: ContractBody = {
  name: 'order.placed',
  version: '1.1.0',
  owner: 'shop',
  description: 'A customer bought goods.',
  schema: {
    $id: 'https://example.org/order',
    type: 'object',
    required: ['total'],
    properties: { total: { $ref: '#/$defs/money' }, parts: { type: 'array', items: { $ref: '#' } } },
    $defs: { money: { type: 'number', minimum: 0 } },
  },
};
const decided: ContractBody = { name: 'return decided', version: '1.0.0', owner: 'returns', schema: {} };
const document = asyncApiDocument({
  origin: 'https://aios.example.org/base',
  version: '0.1.0',
  contracts: [
    {
      body: order,
      deprecation: undefined,
      uses: [
        {
          kind: 'workflow',
          name: 'returns',
          version: 1,
          roles: ['consumer'],
          paths: ['/schedule/on/one/with/type'],
        },
        { kind: 'feature-view', name: 'orders', version: 1, roles: ['consumer'], paths: ['/source'] },
      ],
    },
    {
      body: decided,
      deprecation: { deprecatedAt: 0, sunsetAt: null, message: 'Use another.' },
      uses: [
        {
          kind: 'workflow',
          name: 'returns',
          version: 1,
          roles: ['producer'],
          paths: ['/do/3/tell/emit/event/with/type'],
        },
      ],
    },
  ],
  systemEvents: [{ type: 'io.serverlessworkflow.workflow.started.v1', summary: 'A run has begun' }],
  others: [
    {
      ...{
        kind: 'bridge',
        name: 'orders-in',
        action: 'receive',
        protocol: 'kafka',
        host: 'kafka.example.org:9093',
      },
      ...{ address: 'orders', types: ['order.placed', 'of no contract'] },
    },
    {
      ...{ kind: 'bridge', name: 'plant', action: 'receive', protocol: 'mqtt', host: 'mqtt.example.org' },
      ...{ address: 'plant/a', types: [] },
    },
    {
      ...{ kind: 'bridge', name: 'plant', action: 'receive', protocol: 'mqtt', host: 'mqtt.example.org' },
      ...{ address: 'plant/b', types: [] },
    },
    {
      ...{ kind: 'bridge', name: 'archive', action: 'send', protocol: 'file', host: undefined },
      ...{ address: '/srv', types: [] },
    },
    {
      ...{ kind: 'webhook', name: 'whk_1', action: 'send', protocol: 'https', host: 'shop.example.org' },
      ...{ address: null, types: ['order.placed'] },
    },
  ],
});

/** AsyncAPI's own schema of its documents, which draft 7 describes. */
const official = await npmPackage('@asyncapi/specs', '6.8.1');

describe('the AsyncAPI document', () => {
  it.skipIf(!official)(
    `is one by the schema of AsyncAPI 3.0${official ? '' : ' (skipped: no npm registry)'}`,
    async () => {
      const text = await readFile(join(official!, 'schemas', '3.0.0-without-$id.json'), 'utf8');
      const validate = new Ajv({ strict: false, validateFormats: false, allErrors: true }).compile(
        JSON.parse(text),
      );
      validate(document);
      expect(validate.errors ?? []).toEqual([]);
      expect(validate({ ...document, operations: { ingest: { action: 'take' } } })).toBe(false);
    },
  );

  it('names nothing that is not there, also behind the references of contracts', () => {
    const references: string[] = [];
    const visit = (value: Json): void => {
      if (Array.isArray(value)) for (const part of value) visit(part);
      else if (isObject(value)) {
        if (typeof value.$ref === 'string') references.push(value.$ref);
        for (const part of Object.values(value)) visit(part);
      }
    };
    visit(document);
    const at = (pointer: string) =>
      pointerNames(pointer.slice(1)).reduce<Json | undefined>(
        (value, name) => (value as JsonObject)?.[name],
        document,
      );
    expect(references.filter((one) => at(one) === undefined)).toEqual([]);
    expect(references).toContain('#/components/schemas/order.placed/schema/$defs/money');
  });

  it('says who receives and who sends, and what is posted', () => {
    const { operations, channels, servers, components } = document as Record<
      string,
      Record<string, JsonObject>
    >;
    expect(
      Object.entries(operations!).map(
        ([name, { action, messages }]) => `${name} ${action} ${(messages as Json[]).length}`,
      ),
    ).toEqual([
      'ingest receive 2',
      'stream send 5',
      'tell send 3',
      'workflow.returns.receive receive 1',
      'feature-view.orders.receive receive 1',
      'workflow.returns.send send 1',
      'bridge.orders-in.receive receive 1',
      'bridge.plant.receive receive 0',
      'bridge.plant.2.receive receive 0',
      'bridge.archive.send send 0',
      'webhook.whk_1.send send 1',
    ]);
    expect(servers!['bridge.orders-in']).toEqual({ host: 'kafka.example.org:9093', protocol: 'kafka' });
    expect(channels!['bridge.plant.2']).toMatchObject({
      address: 'plant/b',
      servers: [{ $ref: '#/servers/bridge.plant' }],
    });
    expect(channels!.ingest).toMatchObject({ address: '/api/v1/events' });
    expect(servers!.http).toMatchObject({ host: 'aios.example.org', protocol: 'https', pathname: '/base' });
    expect(components!.messages).toMatchObject({
      return_20_decided: { 'x-aios-deprecated': 'Use another.' },
    });
  });

  it('describes the events as they are posted', () => {
    const { components } = document as {
      components: { messages: Record<string, { payload: { schema: JsonObject } }> };
    };
    const validate = compileSchema({
      ...components.messages['order.placed']!.payload.schema,
      components: document.components!,
    });
    const event = {
      specversion: '1.0',
      id: '1',
      source: 's',
      type: 'order.placed',
      data: { total: 5, parts: [{ total: 1 }] },
    };
    expect(validate(event)).toEqual([]);
    expect(validate({ ...event, data: { total: 5, parts: [{ total: -1 }] } })).toMatchObject([
      { path: '/data/parts/0/total' },
    ]);
  });

  const withContracts = (...contracts: Pick<ContractBody, 'name' | 'schema'>[]) =>
    asyncApiDocument({
      ...{ origin: 'https://aios.example.org', version: '0.1.0', systemEvents: [] },
      contracts: contracts.map((body) => ({
        ...{ deprecation: undefined, uses: [], body: { version: '1.0.0', owner: 'o', ...body } },
      })),
    }) as { components: { messages: JsonObject; schemas: Record<string, { schema: JsonObject }> } };

  it.each<[string, JsonObject]>([
    [
      'an anchor',
      { properties: { a: { $ref: '#amount' } }, $defs: { money: { $anchor: 'amount', type: 'number' } } },
    ],
    [
      'its own `$id`',
      {
        ...{ $id: 'https://e.org/s', properties: { a: { $ref: 'https://e.org/s#/$defs/money' } } },
        $defs: { money: { type: 'number' } },
      },
    ],
    [
      'a place that is no keyword',
      {
        properties: { a: { $ref: '#/shared/a' } },
        shared: { a: { $ref: '#/shared/b' }, b: { type: 'number' } },
      },
    ],
  ])('keeps what a schema says that refers to %s', (_, schema) => {
    const { components } = withContracts({ name: 't', schema });
    const validate = compileSchema({ $ref: '#/components/schemas/t/schema', components } as never);
    expect(validate({ a: 1 })).toEqual([]);
    expect(validate({ a: 'x' })).not.toEqual([]);
  });

  it('leaves members and values alone that are called like keywords', () => {
    const schema = {
      properties: { $id: { type: 'string' }, $ref: { enum: [{ $ref: '#' }] } },
      default: { $ref: '#' },
    };
    expect(withContracts({ name: 't', schema }).components.schemas.t!.schema).toEqual(schema);
  });

  it('leaves references to a schema whose parts have an `$id`, and gives it one', () => {
    const schema = {
      items: { $ref: '#/$defs/m' },
      $defs: { m: { $id: 'https://e.org/m', items: { $ref: '#' } } },
    };
    expect(withContracts({ name: 'a b', schema }).components.schemas.a_20_b!.schema).toEqual({
      $id: 'urn:aios:contract:a%20b',
      ...schema,
    });
  });

  it('gives each contract a key of its own', () => {
    const names = ['a b', 'a_20_b', 'a_20b', 'a_b', 'a/b'];
    const { messages } = withContracts(...names.map((name) => ({ name, schema: {} }))).components;
    const own = Object.values(messages).map((message) => (message as JsonObject).name);
    expect(own).toEqual(expect.arrayContaining(names));
  });
});
