import { describe, expect, it } from 'vitest';
import { isObject, type Json, type JsonObject } from '../kernel/json.ts';
import { compileSchema, pointerNames } from '../kernel/schema.ts';
import { asyncApiDocument } from './asyncapi.ts';
import type { ContractBody } from './contract-kind.ts';

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
});

/** The members that AsyncAPI 3.0 requires, in the shapes that are used here (asyncapi.com/docs/reference/specification/v3.0.0). */
const reference = {
  type: 'object',
  required: ['$ref'],
  additionalProperties: false,
  properties: { $ref: { type: 'string', pattern: '^#/' } },
};
const key = { pattern: '^[\\w.-]+$' };
const specification: JsonObject = {
  type: 'object',
  required: ['asyncapi', 'info'],
  additionalProperties: false,
  properties: {
    asyncapi: { const: '3.0.0' },
    info: { type: 'object', required: ['title', 'version'] },
    defaultContentType: { type: 'string' },
    servers: {
      type: 'object',
      additionalProperties: { type: 'object', required: ['host', 'protocol'] },
    },
    channels: {
      type: 'object',
      propertyNames: key,
      additionalProperties: {
        type: 'object',
        additionalProperties: false,
        properties: {
          address: { type: ['string', 'null'] },
          title: { type: 'string' },
          description: { type: 'string' },
          servers: { type: 'array', items: reference },
          messages: { type: 'object', propertyNames: key, additionalProperties: reference },
        },
      },
    },
    operations: {
      type: 'object',
      propertyNames: key,
      additionalProperties: {
        type: 'object',
        required: ['action', 'channel'],
        additionalProperties: false,
        properties: {
          action: { enum: ['send', 'receive'] },
          channel: reference,
          summary: { type: 'string' },
          messages: { type: 'array', items: reference },
        },
      },
    },
    components: {
      type: 'object',
      properties: {
        messages: {
          type: 'object',
          propertyNames: key,
          additionalProperties: {
            type: 'object',
            required: ['payload'],
            patternProperties: { '^x-': true },
            additionalProperties: false,
            properties: {
              name: { type: 'string' },
              title: { type: 'string' },
              summary: { type: 'string' },
              contentType: { type: 'string' },
              payload: { type: 'object', required: ['schemaFormat', 'schema'] },
            },
          },
        },
      },
    },
  },
};

describe('the AsyncAPI document', () => {
  it('has the shape of AsyncAPI 3.0', () => expect(compileSchema(specification)(document)).toEqual([]));

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
      'tell send 3',
      'workflow.returns.receive receive 1',
      'feature-view.orders.receive receive 1',
      'workflow.returns.send send 1',
    ]);
    expect(channels!.ingest).toMatchObject({ address: '/api/v1/events' });
    expect(servers!.http).toMatchObject({ host: 'aios.example.org', protocol: 'https', pathname: '/base' });
    expect(components!.messages).toMatchObject({ return_20decided: { 'x-aios-deprecated': 'Use another.' } });
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
});
