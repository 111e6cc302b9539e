import mqtt, { type MqttClient, type Packet } from 'mqtt';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { CloudEvent, LoggedEvent } from '../../../../kernel/cloudevent.ts';
import { debianPackages } from '../../../../testing/debian.ts';
import { startMosquitto } from '../../../../testing/mosquitto.ts';
import type { ServerUnderTest } from '../../../../testing/server.ts';
import { event } from '../../../event-under-test.ts';
import { openSink } from '../protocol-under-test.ts';
import { logged } from '../told-under-test.ts';
import { mqttProtocol } from './mqtt-protocol.ts';

const debian = await debianPackages(['mosquitto']);
const PACKET_ID = 5;
/** Packet ids that a sink does not begin with. */
const FIRST_ID = 101;
/** What mosquitto takes at once, less the place. */
const FULL = 19;

describe.skipIf(!debian)(
  `what a process left in the session of QoS 2${debian ? '' : ' (skipped: mosquitto needs Debian)'}`,
  () => {
    let server: ServerUnderTest;
    let client: MqttClient;
    beforeAll(async () => {
      server = await startMosquitto(debian!);
      client = await connect();
    });
    afterAll(async () => {
      await client?.endAsync(true);
      await server?.close();
    });
    const connect = (more: object = {}) =>
      mqtt.connectAsync(`mqtt://127.0.0.1:${server.port}`, { protocolVersion: 5, ...more });
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
    /** As many as mosquitto takes at once, which were not to be passed on: its session has no room for others. */
    const fill = async (name: string, count: number) => {
      let id = FIRST_ID - 1;
      const ids = { allocate: () => ++id, getLastAllocated: () => id, register: () => true };
      const process = await connect({
        ...{ clientId: `aios-bridge:${name}-of-the-test-0`, clean: false, reconnectPeriod: 0 },
        properties: { sessionExpiryInterval: 600 },
        messageIdProvider: { ...ids, deallocate: () => {}, clear: () => {} },
      });
      const sending = process as unknown as { _sendPacket(packet: Packet, ...more: unknown[]): void };
      const send = sending._sendPacket.bind(process);
      let taken = 0;
      sending._sendPacket = (packet, ...more) => (packet.cmd === 'pubrel' ? taken++ : send(packet, ...more));
      for (let n = 0; n < count; n++)
        process.publish(name, JSON.stringify(event(`e${n}`)), { qos: 2 }, () => {});
      await expect.poll(() => taken).toBe(count);
      process.on('error', () => {});
      process.stream.destroy();
    };
    const tell = (name: string, place: object) =>
      client.publishAsync(`aios-bridge:${name}/of-the-test/0`, JSON.stringify(place), {
        qos: 1,
        retain: true,
      });
    const filled = (count: number) => Array.from({ length: count }, (_, n) => [n, FIRST_ID + n]);
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
      await sink.deliver(offsets.map((offset) => logged(offset)));
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

    it('leaves room where another definition selects none of it', async () => {
      await fill('unselected', FULL);
      await tell('unselected', { offset: -1, sending: filled(FULL) });
      const offsets = Array.from({ length: 2 * FULL }, (_, n) => 100 + n);
      const ids = await delivered('unselected', offsets);
      expect(ids).toEqual(offsets.map((offset) => `e${offset}`));
    });

    it('is known to whoever comes after one that sent a part of it', async () => {
      await fill('part', FULL);
      await tell('part', { offset: -1, sending: filled(FULL) });
      expect(await delivered('part', [0, 1, 2])).toEqual(['e0', 'e1', 'e2']);
      const offsets = Array.from({ length: 2 * FULL }, (_, n) => n);
      const ids = await delivered('part', offsets);
      expect(ids).toEqual(offsets.slice(3).map((offset) => `e${offset}`));
    });

    it('is left alone where the broker was started again with an older state', async () => {
      const settings = { broker: `127.0.0.1:${server.port}`, topic: 'older', qos: 2 };
      const sink = openSink(mqttProtocol, settings, { name: 'older' });
      const [before, after] = [0, 3 * FULL].map((from) =>
        Array.from({ length: 3 * FULL }, (_, n) => logged(from + n)),
      ) as [LoggedEvent[], LoggedEvent[]];
      await sink.deliver(before);
      await fill('older', FULL + 1); // which ends the connection of the sink
      await tell('older', { offset: 0 });
      const reader = await connect();
      const ids: string[] = [];
      reader.on('message', (_, payload) => ids.push((JSON.parse(payload.toString()) as CloudEvent).id));
      await reader.subscribeAsync('older', { qos: 2 });
      const deliver = () => sink.deliver(after).catch((error: Error) => error.message);
      await expect.poll(deliver, { timeout: 10_000 }).toEqual({ undone: [], refused: [] });
      await expect.poll(() => ids).toEqual(after.map(({ event: { id } }) => id));
      await sink.close?.();
      await reader.endAsync(true);
    });
  },
);
