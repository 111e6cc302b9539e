import { expect, it } from 'vitest';
import type { BridgeDefinition } from '../definition/bridge-kind.ts';
import { BRIDGE_PROTOCOLS } from '../protocols/protocols.ts';
import { channelsOf } from './bridge-channels.ts';

it.each<[Partial<BridgeDefinition>, object[]]>([
  [
    { from: { kafka: { brokers: ['a:9092', 'b:9092'], topic: 't' } }, events: { type: "'order.placed'" } },
    [{ action: 'receive', protocol: 'kafka', host: 'a:9092', address: 't', types: ['order.placed'] }],
  ],
  [
    { from: { mqtt: { broker: 'm:1883', topics: ['a/#', 'b/#'] } }, events: { type: 'value.type' } },
    [
      { action: 'receive', protocol: 'mqtt', host: 'm:1883', address: 'a/#', types: [] },
      { action: 'receive', protocol: 'mqtt', host: 'm:1883', address: 'b/#', types: [] },
    ],
  ],
  [
    { to: { amqp: { host: 'r', port: 5672, queue: 'q' } }, types: ['x', 'y'] },
    [{ action: 'send', protocol: 'amqp', host: 'r:5672', address: 'q', types: ['x', 'y'] }],
  ],
  [
    { to: { nats: { servers: ['n:4222'], subject: 's' } } },
    [{ action: 'send', protocol: 'nats', host: 'n:4222', address: 's', types: [] }],
  ],
  [
    { to: { mqtt: { broker: 'm:1883', topicOf: 'event.subject' } } },
    [{ action: 'send', protocol: 'mqtt', host: 'm:1883', address: null, types: [] }],
  ],
  [
    { to: { files: { folder: '/srv' } } },
    [{ action: 'send', protocol: 'file', host: undefined, address: '/srv', types: [] }],
  ],
])('the channels of a bridge are those that it names: %o', (definition, channels) => {
  expect(channelsOf({ name: 'b', ...definition }, BRIDGE_PROTOCOLS)).toEqual(
    channels.map((channel) => ({ kind: 'bridge', name: 'b', ...channel })),
  );
});
