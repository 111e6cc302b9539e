import { isObject, type Json, type JsonObject } from '../../../../kernel/json.ts';
import type { BridgeProtocol } from '../../port/protocol.ts';
import { TLS_SETTING } from '../client-certificate.ts';
import { kafkaUnpacker } from './kafka-schemas.ts';

// A definition is kept and shown for ever: it names the secret.
const SECRET = { type: 'string', pattern: '\\$\\{secrets\\.' };
const registry = {
  type: 'object',
  additionalProperties: false,
  required: ['url'],
  properties: {
    url: { type: 'string', pattern: '^(https?://|\\$\\{)' },
    username: { type: 'string', minLength: 1 },
    password: SECRET,
    token: SECRET,
  },
};
const subject = { type: 'string', minLength: 1 };
const subjectStrategy = {
  description:
    'By what subjects are called: topic (<topic>-value, when left out), record (what the schema calls a value: the name of an Avro record, the title of a JSON Schema, else the type of the event), or topic-record (<topic>-<record>).',
  enum: ['topic', 'record', 'topic-record'],
};
const register = {
  description:
    'Whether values are written by the contract of their type, whose schema becomes a version of the subject; by the newest version of the subject when left out.',
  type: 'boolean',
};
const schemasOf = (more: JsonObject) => ({
  type: 'object',
  additionalProperties: false,
  properties: { registry, subject, ...more },
});

const settings = {
  type: 'object',
  additionalProperties: false,
  required: ['brokers', 'topic'],
  properties: {
    brokers: { type: 'array', minItems: 1, items: { type: 'string', minLength: 1 } },
    topic: { type: 'string', minLength: 1 },
    tls: TLS_SETTING,
    sasl: {
      type: 'object',
      additionalProperties: false,
      required: ['mechanism', 'username', 'password'],
      properties: {
        mechanism: { enum: ['PLAIN', 'SCRAM-SHA-256', 'SCRAM-SHA-512'] },
        username: { type: 'string', minLength: 1 },
        password: SECRET,
      },
    },
  },
};
const withMore = (more: JsonObject): JsonObject => ({
  ...settings,
  properties: { ...settings.properties, ...more },
});
const keys = {
  description:
    'How keys are written: text (when left out; base64 where it is none), json, or schema: in the wire format of a schema registry.',
  enum: ['text', 'json', 'schema'],
};

/** Kafka, by the Kafka protocol binding of CloudEvents 1.0. The place of a source is the offset of each partition; a sink writes transactions. */
export const kafkaProtocol: BridgeProtocol = {
  name: 'kafka',
  attributePrefixes: ['ce_'],
  source: {
    settings: withMore({ keys, schemas: schemasOf({ readAs: { enum: ['written', 'latest'] } }) }),
    check: ({ schemas, keys }) => [
      ...(keys === 'schema' && schemas === undefined
        ? [{ path: '/keys', message: '`schema` needs `schemas`, which says the registry' }]
        : []),
      ...registryIssues(schemas),
    ],
    unpacker: kafkaUnpacker,
    position: {
      type: 'object',
      additionalProperties: false,
      required: ['topic', 'topicId', 'offsets'],
      properties: {
        topic: { type: 'string' },
        topicId: { type: 'string' },
        offsets: {
          type: 'object',
          propertyNames: { pattern: '^[0-9]+$' },
          additionalProperties: { type: 'integer', minimum: 0 },
        },
      },
    },
    open: async (context, told) => (await import('./kafka-source.ts')).kafkaSource(context, told),
  },
  sink: {
    settings: withMore({ schemas: schemasOf({ subjectStrategy, register }) }),
    check: ({ schemas }, format) => [
      ...(schemas && format === 'structured'
        ? [
            {
              path: '/schemas',
              message: 'values in the wire format are the data alone: `format: binary` or `raw`',
            },
          ]
        : []),
      ...registryIssues(schemas),
      ...subjectIssues(schemas),
    ],
    open: async (context, told) => (await import('./kafka-sink.ts')).kafkaSink(context, told),
  },
};

function subjectIssues(schemas: Json | undefined): { path: string; message: string }[] {
  if (!isObject(schemas)) return [];
  const { subject, subjectStrategy = 'topic', register, registry } = schemas;
  const issues: { path: string; message: string }[] = [];
  if (subject !== undefined && subjectStrategy !== 'topic')
    issues.push({ path: '/schemas/subject', message: 'is one subject, and `subjectStrategy` names others' });
  if (register === true && registry === undefined)
    issues.push({
      path: '/schemas/register',
      message:
        'needs `registry`: that of this installation has its contracts already, as subjects of their names',
    });
  return issues;
}

function registryIssues(schemas: Json | undefined): { path: string; message: string }[] {
  const at = isObject(schemas) && isObject(schemas.registry) ? schemas.registry : {};
  if (at.token !== undefined && (at.username ?? at.password) !== undefined)
    return [
      { path: '/schemas/registry/token', message: 'a registry has a token or a username and password' },
    ];
  if (at.password !== undefined && at.username === undefined)
    return [{ path: '/schemas/registry/password', message: 'belongs to a username' }];
  return [];
}
