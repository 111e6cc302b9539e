import { AiosError } from '../../../../kernel/errors.ts';
import { compileExpression } from '../../../../kernel/expressions.ts';
import type { JsonObject } from '../../../../kernel/json.ts';
import type { BridgeProtocol } from '../../port/protocol.ts';
import { TLS_SETTING } from '../client-certificate.ts';
import { type MqttSinkSettings, mqttSink } from './sink.ts';
import { type MqttSourceSettings, mqttSource } from './source.ts';

const server: JsonObject = {
  broker: {
    description: 'host:port; 1883 when no port is said, 8883 with tls.',
    type: 'string',
    pattern: '^[^/\\s]+$',
  },
  tls: TLS_SETTING,
  username: { type: 'string' },
  // A definition is kept and shown for ever: it names the secret.
  password: { type: 'string', pattern: '\\$\\{secrets\\.' },
  version: {
    description: '5 when left out. 3.1.1 has no headers: CloudEvents in structured mode, or data alone.',
    enum: ['5', '3.1.1'],
  },
};

/** Brokers of MQTT, after the MQTT protocol binding of CloudEvents 1.0 (cloudevents/bindings/mqtt-protocol-binding.md). */
export const mqttProtocol: BridgeProtocol = {
  name: 'mqtt',
  attributePrefixes: [''],
  source: {
    settings: {
      type: 'object',
      additionalProperties: false,
      required: ['broker', 'topics'],
      properties: {
        ...server,
        topics: {
          description: 'Filters of topics, with + and #.',
          type: 'array',
          minItems: 1,
          uniqueItems: true,
          items: { type: 'string', minLength: 1 },
        },
        clientId: {
          description: 'The session at the broker; aios- and the bridge’s name when left out.',
          type: 'string',
          minLength: 1,
        },
        sessionExpirySeconds: {
          description:
            'How long the broker keeps messages for a bridge that is away (MQTT 5); 7 days when left out.',
          type: 'integer',
          minimum: 60,
          maximum: 4_294_967_295,
        },
      },
    },
    open: (context, settings) => mqttSource(context, settings as unknown as MqttSourceSettings),
  },
  sink: {
    settings: {
      type: 'object',
      additionalProperties: false,
      required: ['broker'],
      oneOf: [{ required: ['topic'] }, { required: ['topicOf'] }],
      properties: {
        ...server,
        topic: { description: 'Where events go.', type: 'string', pattern: '^[^+#]+$' },
        topicOf: {
          description: 'The topic of each event instead: CEL over event.',
          type: 'string',
          minLength: 1,
        },
        qos: {
          description:
            '1 when left out: after a crash a few events may come again. With 2 each goes out once.',
          enum: [1, 2],
        },
        placeInBroker: {
          description:
            'Whether the broker keeps the place of the bridge, retained at aios-bridge:<name>/<partition>; true when left out.',
          type: 'boolean',
        },
        retain: { description: 'Whether the broker keeps the last message of a topic.', type: 'boolean' },
      },
    },
    check({ topicOf }) {
      try {
        if (typeof topicOf === 'string') compileExpression(topicOf);
        return [];
      } catch (error) {
        if (!(error instanceof AiosError)) throw error;
        return [{ path: '/topicOf', message: error.message }];
      }
    },
    open: (context, settings) => mqttSink(context, settings as unknown as MqttSinkSettings),
  },
};
