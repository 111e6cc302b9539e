import type { BridgeProtocol } from '../../port/protocol.ts';
import { TLS_SETTING } from '../client-certificate.ts';

const server = {
  host: { type: 'string', minLength: 1 },
  port: { type: 'integer', minimum: 1, maximum: 65_535 },
  tls: TLS_SETTING,
  vhost: { type: 'string', minLength: 1 },
  username: { type: 'string', minLength: 1 },
  // A definition is kept and shown for ever: it names the secret.
  password: { type: 'string', pattern: '\\$\\{secrets\\.' },
};
const placeInBroker = {
  description:
    'Whether queues of the bridge (aios-bridge:<name>-<space>-<partition>) keep its place, so that nothing is sent again after a crash; true when left out.',
  type: 'boolean',
};
const name = { type: 'string', minLength: 1, maxLength: 255 };

/** AMQP 0-9-1, with the names of attributes of CloudEvents' AMQP binding. A queue keeps the place of its readers itself, by what they acknowledge. */
export const amqpProtocol: BridgeProtocol = {
  name: 'amqp',
  attributePrefixes: ['cloudEvents:', 'cloudEvents_'],
  source: {
    settings: {
      type: 'object',
      additionalProperties: false,
      required: ['host', 'queue'],
      properties: { ...server, queue: name, prefetch: { type: 'integer', minimum: 1, maximum: 5_000 } },
    },
    open: async (context, told) => (await import('./amqp-source.ts')).amqpSource(context, told),
  },
  sink: {
    settings: {
      type: 'object',
      additionalProperties: false,
      required: ['host'],
      // To a queue, or to an exchange: by the type of the event where no routing key is said.
      oneOf: [{ required: ['queue'] }, { required: ['exchange'] }],
      properties: { ...server, queue: name, exchange: name, routingKey: name, placeInBroker },
    },
    open: async (context, told) => (await import('./amqp-sink.ts')).amqpSink(context, told),
  },
};
