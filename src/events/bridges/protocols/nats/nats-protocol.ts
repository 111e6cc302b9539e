import type { JsonObject } from '../../../../kernel/json.ts';
import type { BridgeProtocol } from '../../port/protocol.ts';
import { TLS_SETTING } from '../client-certificate.ts';
import { type NatsSinkSettings, natsSink } from './sink.ts';
import { type NatsSourceSettings, natsSource } from './source.ts';

// A definition is kept and shown for ever: it names the secret.
const SECRET = { type: 'string', pattern: '\\$\\{secrets\\.' };
const servers: JsonObject = {
  servers: {
    description: 'host:port of each server of the cluster, tried in this order.',
    type: 'array',
    minItems: 1,
    items: { type: 'string', pattern: '^[^/\\s]+$' },
  },
  tls: TLS_SETTING,
  user: { type: 'string' },
  password: SECRET,
  token: SECRET,
};
// Subjects of NATS: parts without dots, white space and wildcards.
const PART = '[^.*>\\s]+';

/** Streams of NATS JetStream, after the NATS protocol binding of CloudEvents 1.0 (cloudevents/bindings/nats-protocol-binding.md). */
export const natsProtocol: BridgeProtocol = {
  name: 'nats',
  attributePrefixes: ['ce-'],
  source: {
    position: {
      type: 'object',
      additionalProperties: false,
      required: ['created', 'sequence'],
      properties: {
        ...{ stream: { type: 'string' }, created: { type: 'string' } },
        sequence: { type: 'integer', minimum: 0 },
      },
    },
    settings: {
      type: 'object',
      additionalProperties: false,
      required: ['servers', 'stream'],
      properties: {
        ...servers,
        stream: { type: 'string', pattern: `^${PART}$` },
        subject: {
          description: 'Only messages of this subject of the stream; * and > as NATS has them.',
          type: 'string',
          minLength: 1,
        },
      },
    },
    open: (context, settings) => natsSource(context, settings as unknown as NatsSourceSettings),
  },
  sink: {
    settings: {
      type: 'object',
      additionalProperties: false,
      required: ['servers', 'subject'],
      properties: {
        ...servers,
        subject: {
          description: 'Events go to subject.<partition>; one stream has to take subject.*',
          type: 'string',
          pattern: `^${PART}(\\.${PART})*$`,
        },
      },
    },
    open: (context, settings) => natsSink(context, settings as unknown as NatsSinkSettings),
  },
};
