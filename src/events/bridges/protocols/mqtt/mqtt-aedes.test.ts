import { once } from 'node:events';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { Aedes } from 'aedes';
import mqtt, { type MqttClient } from 'mqtt';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { CloudEvent } from '../../../../kernel/cloudevent.ts';
import { event } from '../../../event-under-test.ts';
import { openSink, openSource } from '../protocol-under-test.ts';
import { mqttProtocol } from './mqtt-protocol.ts';

describe('MQTT 3.1.1', () => {
  let broker: Aedes;
  let server: Server;
  let client: MqttClient;
  let address: string;
  let refuses = false;
  beforeAll(async () => {
    broker = await Aedes.createBroker({
      authenticate: (_client, _user, _password, done) => done(null, !refuses),
    });
    server = createServer(broker.handle).listen(0, '127.0.0.1');
    await once(server, 'listening');
    address = `127.0.0.1:${(server.address() as AddressInfo).port}`;
    client = await mqtt.connectAsync(`mqtt://${address}`);
  });
  afterAll(async () => {
    await client.endAsync(true);
    await new Promise<void>((done) => broker.close(done));
    server.close();
  });
  let topics = 0;
  const source = (topic: string, more: object = {}) =>
    openSource(
      mqttProtocol,
      { broker: address, topics: [topic], version: '3.1.1' },
      { name: topic, ...more },
    );

  it('brings what came while it was away, and again what was not committed', async () => {
    const topic = `t${topics++}`;
    const read = async (count: number, isCommitted: boolean) => {
      const ended = new AbortController();
      const ids: string[] = [];
      for await (const batch of source(topic).read(undefined, ended.signal)) {
        ids.push(...batch.events.map(({ id }) => id));
        if (isCommitted) await batch.acknowledge?.();
        if (ids.length >= count) break;
      }
      ended.abort();
      return ids;
    };
    const ended = new AbortController();
    await new Promise<void>((answered, fail) => {
      const reading = source(topic, { answered }).read(undefined, ended.signal)[Symbol.asyncIterator]();
      reading.next().catch(fail);
    });
    ended.abort();
    const ids = Array.from({ length: 90 }, (_, n) => `m${n}`);
    for (const id of ids) await client.publishAsync(topic, JSON.stringify(event(id)), { qos: 1 });
    expect(await read(90, false)).toEqual(ids);
    expect(await read(90, true)).toEqual(ids);
  });

  it.each([1, 2])('carries events in structured mode, QoS %i', async (qos) => {
    const topic = `t${topics++}`;
    const received = new Promise<CloudEvent>((done) =>
      client.once('message', (_topic, payload) => done(JSON.parse(payload.toString()) as CloudEvent)),
    );
    await client.subscribeAsync(topic);
    const settings = { broker: address, topic, version: '3.1.1', qos };
    const sink = openSink(mqttProtocol, settings, { name: topic });
    await sink.deliver([{ partition: 0, offset: 0, timeMs: 0, recordedAtMs: 0, event: event('one') }]);
    await sink.close?.();
    expect(await received).toEqual(event('one'));
  });

  it('says that the broker refuses it', async () => {
    refuses = true;
    const reading = source('any').read(undefined, new AbortController().signal)[Symbol.asyncIterator]();
    await expect(reading.next()).rejects.toMatchObject({ code: 'bridges.refused' });
    refuses = false;
  });
});
