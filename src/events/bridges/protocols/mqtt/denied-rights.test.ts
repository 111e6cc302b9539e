import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import mqtt, { type MqttClient } from 'mqtt';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { CloudEvent, LoggedEvent } from '../../../../kernel/cloudevent.ts';
import { debianPackages } from '../../../../testing/debian.ts';
import { ServerUnderTest } from '../../../../testing/server.ts';
import { event } from '../../../event-under-test.ts';
import { openSink } from '../protocol-under-test.ts';
import { mqttProtocol } from './mqtt-protocol.ts';

const debian = await debianPackages(['mosquitto']);

describe.skipIf(!debian)(
  `rights that are taken from a sink of MQTT${debian ? '' : ' (skipped: mosquitto needs Debian)'}`,
  () => {
    let server: ServerUnderTest;
    const readers: MqttClient[] = [];
    const allow = async (...denied: string[]) => {
      const lines = [...denied.map((topic) => `topic deny ${topic}`), 'topic readwrite #'];
      await writeFile(join(server.folder, 'rights'), lines.join('\n'));
      await server.reload(/Reloading config/);
    };
    beforeAll(async () => {
      server = await ServerUnderTest.start(
        ({ folder }) => [join(debian!.root, 'usr/sbin/mosquitto'), '-c', join(folder, 'mosquitto.conf')],
        debian!.env,
        async ({ port, folder }) => {
          await writeFile(join(folder, 'rights'), 'topic readwrite #');
          const lines = ['user root', `listener ${port} 127.0.0.1`, 'allow_anonymous true'];
          lines.push(`acl_file ${join(folder, 'rights')}`, 'max_packet_size 100000');
          await writeFile(join(folder, 'mosquitto.conf'), lines.join('\n'));
        },
      );
    });
    afterAll(async () => {
      for (const one of readers) await one.endAsync(true);
      await server?.close();
    });
    const logged = (offset: number, partition = 0): LoggedEvent => {
      const id = partition === 0 ? `e${offset}` : `f${offset}`;
      return { partition, offset, timeMs: 0, recordedAtMs: 0, event: event(id, { subject: id }) };
    };

    const opened = async (name: string, settings: object) => {
      const arrived: string[] = [];
      const reader = await mqtt.connectAsync(`mqtt://127.0.0.1:${server.port}`, { protocolVersion: 5 });
      readers.push(reader);
      reader.on('message', (_, payload) => arrived.push((JSON.parse(payload.toString()) as CloudEvent).id));
      await reader.subscribeAsync(`${name}/#`, { qos: 2 });
      const open = () =>
        openSink(mqttProtocol, { broker: `127.0.0.1:${server.port}`, ...settings } as never, { name });
      return { arrived, open };
    };
    const told = (work: Promise<unknown>) =>
      work.then(
        () => 'sent',
        (error: { code: string }) => error.code,
      );

    it.each([1, 2] as const)(
      'lose nothing with QoS %i: all goes out when they are given back',
      async (qos) => {
        const name = `all-${qos}`;
        const { arrived, open } = await opened(name, { topic: `${name}/out`, qos });
        const sink = open();
        await sink.deliver([logged(0)]);
        await allow(`${name}/out`);
        const batch = [1, 2, 3].map((offset) => logged(offset));
        await expect.poll(() => told(sink.deliver(batch))).toBe('bridges.refused');
        expect(await told(sink.deliver(batch))).toBe('bridges.refused');
        await sink.close?.();
        const after = open(); // of the next process, which knows only what the broker says
        expect(await told(after.deliver(batch))).toBe('bridges.refused');
        await allow();
        await expect.poll(() => told(after.deliver(batch))).toBe('sent');
        await expect.poll(() => arrived).toEqual(['e0', 'e1', 'e2', 'e3']);
        await after.close?.();
      },
    );

    it.each([1, 2] as const)('lose nothing with QoS %i where they are of one topic of many', async (qos) => {
      const name = `one-${qos}`;
      const topicOf = `'${name}/' + (event.subject == 'e5' ? 'denied' : 'out')`;
      const { arrived, open } = await opened(name, { topicOf, qos });
      const sink = open();
      const batch = Array.from({ length: 60 }, (_, n) => logged(n >> 1, n % 2));
      const ids = batch.map(({ event: { id } }) => id).sort();
      await allow(`${name}/denied`);
      await expect.poll(() => told(sink.deliver(batch))).toBe('bridges.refused');
      await allow();
      await expect.poll(() => told(sink.deliver(batch))).toBe('sent');
      await expect.poll(() => [...new Set(arrived)].sort()).toEqual(ids);
      if (qos === 2) expect(arrived).toHaveLength(60);
      await sink.close?.();
    });

    it('are one thing; what MQTT or the broker never takes is put aside', async () => {
      const more = { name: 'large', format: 'binary' } as const;
      const settings = { broker: `127.0.0.1:${server.port}`, topic: 'large' };
      const sink = openSink(mqttProtocol, settings, more);
      const of = (offset: number, attributes: object): LoggedEvent => ({
        ...logged(offset),
        event: { ...event(`e${offset}`), ...attributes },
      });
      const long = 'x'.repeat(60_000);
      const batch = [
        logged(0),
        of(1, { subject: `${long}${long}` }),
        of(2, { subject: long, partitionkey: long }),
        of(3, { data: `${long}${long}` }),
        logged(4),
      ];
      const { refused = [] } = await sink.deliver(batch);
      expect(refused.map(({ event: { offset }, error: { code } }) => [offset, code])).toEqual(
        [1, 2, 3].map((offset) => [offset, 'bridges.message_refused']),
      );
      await sink.close?.();
    });
  },
);
