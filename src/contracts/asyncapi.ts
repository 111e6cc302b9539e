import type { Json, JsonObject } from '../kernel/json.ts';
import { mapSchemas } from '../kernel/schema-keywords.ts';
import type { ContractBody } from './contract-body.ts';
import type { Deprecation } from './deprecations.ts';
import { SchemaDocument } from './inclusion/node.ts';
import { roleAt, type Use } from './registry.ts';

/** A contract as the document tells of it. */
export interface Described {
  body: ContractBody;
  deprecation: Deprecation | undefined;
  uses: readonly Use[];
}

/** An event of the system itself, which no contract covers. */
export interface SystemEvent {
  type: string;
  summary: string;
}

/** Where messages of another system come from, or go to. */
interface OtherChannel {
  readonly kind: 'bridge' | 'webhook';
  readonly name: string;
  readonly action: 'receive' | 'send';
  readonly protocol: string;
  readonly host: string | undefined;
  readonly address: string | null;
  readonly types: readonly string[];
}

const SCHEMA_FORMAT = 'application/schema+json;version=draft-2020-12';
const CONTENT_TYPE = 'application/cloudevents+json';

/** Events that contracts send of themselves. */
const CONTRACT_EVENTS: readonly SystemEvent[] = [
  {
    type: 'aios.contract.quality.failed.v1',
    summary: 'A measured quality rule of a contract has started to fail',
  },
  { type: 'aios.contract.quality.recovered.v1', summary: 'A quality rule that failed holds again' },
];

/**
 * What the system takes and sends, as an AsyncAPI 3.0 document: a message for every contract and every event of the system itself; the channels that
 * events are posted to and streamed from, that of the log, on which flows, feature views and others receive and flows send, and those of bridges and webhooks.
 *
 * @param origin where the API is reached: `https://aios.example.org`
 * @example asyncApiDocument({ origin, version: '0.1.0', contracts, systemEvents }).channels
 */
export function asyncApiDocument({
  origin,
  version,
  contracts,
  systemEvents,
  others = [],
}: {
  origin: string;
  version: string;
  contracts: readonly Described[];
  systemEvents: readonly SystemEvent[];
  others?: readonly OtherChannel[];
}): JsonObject {
  const { host, protocol, pathname } = new URL(origin);
  const covered = new Set(contracts.map(({ body }) => body.name));
  const own = [...CONTRACT_EVENTS, ...systemEvents].filter(({ type }) => !covered.has(type));
  const types = [...covered, ...own.map(({ type }) => type)];
  const outside = outsideOf(others, new Set(types));
  return {
    asyncapi: '3.0.0',
    info: {
      title: 'AIOS events',
      version,
      description:
        'The events that this system receives and sends: CloudEvents 1.0, validated against data contracts.',
      license: { name: 'Apache-2.0' },
    },
    defaultContentType: CONTENT_TYPE,
    servers: {
      http: {
        host,
        protocol: protocol.replace(':', ''),
        ...(pathname === '/' ? {} : { pathname }),
        security: [{ $ref: '#/components/securitySchemes/key' }],
      },
      ...outside.servers,
    },
    channels: { ...channelsOf(contracts, types), ...outside.channels },
    operations: { ...operationsOf(contracts, own), ...outside.operations },
    components: {
      messages: Object.fromEntries([
        ...contracts.map((one) => [keyOf(one.body.name), messageOf(one)]),
        ...own.map(({ type, summary }) => [keyOf(type), systemMessage(type, summary)]),
      ]),
      schemas: Object.fromEntries(
        contracts.map(({ body }) => [
          keyOf(body.name),
          {
            schemaFormat: SCHEMA_FORMAT,
            schema: rebased(body.schema, `#/components/schemas/${keyOf(body.name)}/schema`, body.name),
          },
        ]),
      ),
      securitySchemes: { key: { type: 'http', scheme: 'bearer', description: 'An API key' } },
    },
  };
}

/** The channels of bridges and webhooks, each with its server. */
function outsideOf(all: readonly OtherChannel[], known: ReadonlySet<string>) {
  const [servers, channels, operations]: [JsonObject, JsonObject, JsonObject] = [{}, {}, {}];
  for (const [server, own] of Map.groupBy(all, ({ kind, name }) => keyOf(`${kind}.${name}`)))
    for (const [index, { kind, name, action, protocol, host, address, types }] of own.entries()) {
      const channel = index === 0 ? server : `${server}.${index + 1}`;
      const keys = types.filter((type) => known.has(type)).map(keyOf);
      servers[server] = { host: host ?? 'localhost', protocol };
      channels[channel] = {
        ...{ address, title: `The ${kind} ${name}`, servers: [{ $ref: `#/servers/${server}` }] },
        messages: Object.fromEntries(keys.map((key) => [key, { $ref: `#/components/messages/${key}` }])),
      };
      operations[`${channel}.${action}`] = {
        ...{ action, channel: { $ref: `#/channels/${channel}` } },
        summary: `The ${kind} ${name} ${action === 'send' ? 'sends to' : 'receives from'} ${address ?? host}`,
        messages: keys.map((key) => ({ $ref: `#/channels/${channel}/messages/${key}` })),
      };
    }
  return { servers, channels, operations };
}

function channelsOf(contracts: readonly Described[], types: readonly string[]): JsonObject {
  const messages = (names: readonly string[]) =>
    Object.fromEntries(names.map((type) => [keyOf(type), { $ref: `#/components/messages/${keyOf(type)}` }]));
  return {
    ingest: {
      address: '/api/v1/events',
      title: 'Events posted over HTTP',
      description: 'The three modes of the CloudEvents HTTP binding: binary, structured and batch.',
      servers: [{ $ref: '#/servers/http' }],
      messages: messages(contracts.map(({ body }) => body.name)),
    },
    stream: {
      address: '/api/v1/events/stream',
      title: 'New events, streamed over HTTP',
      description: 'Server-sent events: each event of the log once, in order per partition key.',
      servers: [{ $ref: '#/servers/http' }],
      messages: messages(types),
    },
    log: {
      address: null,
      title: 'The event log',
      description: 'In order per partition key; each consumer group reads every event once.',
      messages: messages(types),
    },
  };
}

function operationsOf(contracts: readonly Described[], own: readonly SystemEvent[]): JsonObject {
  const refs = (channel: string, types: readonly string[]) =>
    types.map((type) => ({ $ref: `#/channels/${channel}/messages/${keyOf(type)}` }));
  const operation = (
    action: 'send' | 'receive',
    channel: string,
    types: readonly string[],
    summary: string,
  ): JsonObject => ({
    action,
    channel: { $ref: `#/channels/${channel}` },
    summary,
    messages: refs(channel, types),
  });
  const names = contracts.map(({ body }) => body.name);
  const ownNames = own.map(({ type }) => type);
  const operations: JsonObject = {
    ingest: operation('receive', 'ingest', names, 'Receive events that producers post'),
    stream: operation(
      'send',
      'stream',
      [...names, ...ownNames],
      'Stream the events of the log to subscribers',
    ),
    tell: operation('send', 'log', ownNames, 'Report events of the system itself'),
  };
  const users = new Map<
    string,
    { action: 'send' | 'receive'; kind: string; name: string; types: Set<string> }
  >();
  for (const { body, uses } of contracts) {
    for (const { kind, name, paths } of uses) {
      for (const path of paths) {
        const action = roleAt(path) === 'producer' ? 'send' : 'receive';
        const key = keyOf(`${kind}.${name}.${action}`);
        const user = users.get(key) ?? { action, kind, name, types: new Set<string>() };
        user.types.add(body.name);
        users.set(key, user);
      }
    }
  }
  for (const [key, { action, kind, name, types }] of users) {
    const summary = `The ${kind} ${name} ${action === 'send' ? 'sends' : 'receives'}`;
    operations[key] = operation(action, 'log', [...types], summary);
  }
  return operations;
}

function messageOf({ body, deprecation }: Described): JsonObject {
  const { name, version, owner, description } = body;
  return {
    name,
    title: name,
    ...(description === undefined ? {} : { summary: description }),
    contentType: CONTENT_TYPE,
    payload: envelope(name, { $ref: `#/components/schemas/${keyOf(name)}/schema` }),
    'x-aios-version': version,
    'x-aios-owner': owner,
    ...(deprecation ? { 'x-aios-deprecated': deprecation.message } : {}),
  };
}

function systemMessage(type: string, summary: string): JsonObject {
  return {
    name: type,
    title: type,
    summary,
    contentType: CONTENT_TYPE,
    payload: envelope(type, { type: 'object' }),
  };
}

/** The JSON form of a CloudEvent around its data. */
function envelope(type: string, data: JsonObject): JsonObject {
  return {
    schemaFormat: SCHEMA_FORMAT,
    schema: {
      type: 'object',
      required: ['specversion', 'id', 'source', 'type', 'data'],
      properties: {
        specversion: { const: '1.0' },
        id: { type: 'string', minLength: 1 },
        source: { type: 'string', format: 'uri-reference' },
        type: { const: type },
        subject: { type: 'string' },
        time: { type: 'string', format: 'date-time' },
        partitionkey: { type: 'string' },
        dataversion: { type: 'string', description: 'The version of the contract (default: the newest)' },
        data,
      },
    },
  };
}

/** Keys of the document's maps: letters, digits, dots, dashes and underscores; no two names have one key. */
function keyOf(name: string): string {
  return name.replace(/[^\w.-]|_(?=[0-9a-f]+_)/g, (letter) => `_${letter.codePointAt(0)!.toString(16)}_`);
}

/** A schema that stands within another document: its own references begin further down. */
function rebased(schema: JsonObject, base: string, name: string): Json {
  const document = new SchemaDocument(schema);
  // Parts with an `$id` have references of their own: so has the whole then.
  if (document.hasOtherResources) return { $id: `urn:aios:contract:${encodeURIComponent(name)}`, ...schema };
  return mapSchemas(schema, ({ $id: _, ...part }) => {
    const to = typeof part.$ref === 'string' ? document.resolve(part.$ref) : undefined;
    return to ? { ...part, $ref: base + to.pointer } : part;
  });
}
