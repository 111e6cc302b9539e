import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import mqtt, { type MqttClient, type Packet } from 'mqtt';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { CloudEvent, LoggedEvent } from '../../../../kernel/cloudevent.ts';
import { debianPackages } from '../../../../testing/debian.ts';
import { ServerUnderTest } from '../../../../testing/server.ts';
import { event } from '../../../event-under-test.ts';
import { openSink } from '../protocol-under-test.ts';
import { mqttProtocol } from './mqtt-protocol.ts';

const debian = await debianPackages(['mosquitto']);
const PACKET_ID = 5;

describe.skipIf(!debian)(
  `what a process left in the session of QoS 2${debian ? '' : ' (skipped: mosquitto needs Debian)'}`,
  () => {
    let server: ServerUnderTest;
    let client: MqttClient;
    beforeAll(async () => {
      server = await ServerUnderTest.start(
        ({ folder }) => [join(debian!.root, 'usr/sbin/mosquitto'), '-c', join(folder, 'mosquitto.conf')],
        debian!.env,
        ({ port, folder }) =>
          writeFile(
            join(folder, 'mosquitto.conf'),
            ['user root', `listener ${port} 127.0.0.1`, 'allow_anonymous true'].join('\n'),
          ),
      );
      client = await connect();
    });
    afterAll(async () => {
      await client?.endAsync(true);
      await server?.close();
    });
    const connect = (more: object = {}) =>
      mqtt.connectAsync(`mqtt://127.0.0.1:${server.port}`, { protocolVersion: 5, ...more });
    const logged = (offset: number): LoggedEvent => ({
      ...{ partition: 0, offset, timeMs: 0, recordedAtMs: 0, event: event(`e${offset}`) },
    });
    /** What a process leaves: one message that the broker has and was not told to pass on, and the place that it told. */
    const leave = async (name: string, place: object, isSent: boolean) => {
      const never = new Promise<never>(() => {});
      const ids = { allocate: () => PACKET_ID, getLastAllocated: () => PACKET_ID, register: () => true };
      const process = await connect({
        clientId: `aios-bridge:${name}-of-the-test-0`,
        clean: false,
        properties: { sessionExpiryInterval: 600 },
        messageIdProvider: { ...ids, deallocate: () => {}, clear: () => {} },
      });
      const sending = process as unknown as { _sendPacket(packet: Packet, ...more: unknown[]): void };
      const send = sending._sendPacket.bind(process);
      const isThere = new Promise<void>((done) => {
        sending._sendPacket = (packet, ...more) => (packet.cmd === 'pubrel' ? done() : send(packet, ...more));
      });
      const userProperties = { 'aios-partition': '0', 'aios-offset': '0' };
      const options = {
        qos: 2,
        properties: { contentType: 'application/cloudevents+json', userProperties },
      } as const;
      const sent = JSON.stringify(event('e0'));
      if (isSent) await Promise.race([isThere, process.publishAsync(name, sent, options).then(() => never)]);
      process.on('error', () => {});
      process.stream.destroy();
      const text = JSON.stringify(place);
      await client.publishAsync(`aios-bridge:${name}/of-the-test/0`, text, { qos: 1, retain: true });
    };
    const delivered = async (name: string, offsets: number[]) => {
      const reader = await connect();
      const ids: string[] = [];
      const isOver = new Promise<void>((done) => {
        reader.on('message', (_, payload) => {
          const text = payload.toString();
          if (text === 'over') done();
          else ids.push((JSON.parse(text) as CloudEvent).id);
        });
      });
      await reader.subscribeAsync(name, { qos: 2 });
      const settings = { broker: `127.0.0.1:${server.port}`, topic: name, qos: 2 };
      const sink = openSink(mqttProtocol, settings, { name });
      await sink.deliver(offsets.map(logged));
      await sink.close?.();
      await client.publishAsync(name, 'over', { qos: 2 });
      await isOver;
      await reader.endAsync(true);
      return ids;
    };
    const [place, packets] = [{ offset: -1 }, [[0, PACKET_ID]]];

    it.each([
      [
        'goes out once when it was not to be passed on yet',
        { ...place, sending: packets },
        true,
        [0, 1],
        [0, 1],
      ],
      ['goes out once when it never arrived', { ...place, sending: packets }, false, [0, 1], [0, 1]],
      ['is passed on with what comes behind it', { ...place, sending: packets }, true, [1], [0, 1]],
      ['is passed on when it was to be', { offset: 0, releasing: packets }, true, [0, 1], [0, 1]],
      ['is left alone when it was passed on', { offset: 0, releasing: packets }, false, [0, 1], [1]],
    ])('%s', async (what, left, isSent, offsets, expected) => {
      const name = what.replaceAll(' ', '-');
      await leave(name, left, isSent);
      expect((await delivered(name, offsets)).sort()).toEqual(expected.map((offset) => `e${offset}`));
    });

    it('goes out again where the broker has lost the session', async () => {
      const text = JSON.stringify({ offset: 1, releasing: [[1, PACKET_ID]] });
      await client.publishAsync('aios-bridge:lost/of-the-test/0', text, { qos: 1, retain: true });
      expect(await delivered('lost', [0, 1, 2])).toEqual(['e1', 'e2']);
    });
  },
);
