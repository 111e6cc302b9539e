import type { BridgeProtocol } from '../../port/protocol.ts';
import { TLS_SETTING } from '../client-certificate.ts';

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
        // A definition is kept and shown for ever: it names the secret.
        password: { type: 'string', pattern: '\\$\\{secrets\\.' },
      },
    },
  },
};

/** Kafka, by the Kafka protocol binding of CloudEvents 1.0. The place of a source is the offset of each partition; a sink writes transactions. */
export const kafkaProtocol: BridgeProtocol = {
  name: 'kafka',
  attributePrefixes: ['ce_'],
  source: {
    settings,
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
    settings,
    open: async (context, told) => (await import('./kafka-sink.ts')).kafkaSink(context, told),
  },
};
