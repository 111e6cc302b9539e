import type { BridgeProtocol } from '../port/protocol.ts';
import { amqpProtocol } from './amqp/amqp-protocol.ts';
import { filesProtocol } from './files/files-protocol.ts';
import { kafkaProtocol } from './kafka/kafka-protocol.ts';
import { mqttProtocol } from './mqtt/mqtt-protocol.ts';
import { natsProtocol } from './nats/nats-protocol.ts';

/** The protocols that bridges speak. Each file is small; the libraries behind them are loaded by the first bridge that needs them. */
export const BRIDGE_PROTOCOLS: readonly BridgeProtocol[] = [
  amqpProtocol,
  filesProtocol,
  kafkaProtocol,
  mqttProtocol,
  natsProtocol,
];
