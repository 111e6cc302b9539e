import mqtt, { type MqttClient } from 'mqtt';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { AiosError } from '../../../../kernel/errors.ts';
import { debianPackages } from '../../../../testing/debian.ts';
import { startMosquitto } from '../../../../testing/mosquitto.ts';
import type { ServerUnderTest } from '../../../../testing/server.ts';
import { type Following, follow } from '../following-under-test.ts';
import { openSource } from '../protocol-under-test.ts';
import { mqttProtocol } from './mqtt-protocol.ts';

const debian = await debianPackages(['mosquitto']);
const WAIT = { timeout: 10_000, interval: 20 };

describe.skipIf(!debian).each(['5', '3.1.1'])(
  `an MQTT session that another client uses, MQTT %s${debian ? '' : ' (skipped: mosquitto needs Debian)'}`,
  (version) => {
    let server: ServerUnderTest;
    let client: MqttClient;
    beforeAll(async () => {
      server = await startMosquitto(debian!);
      client = await mqtt.connectAsync(`mqtt://127.0.0.1:${server.port}`, { protocolVersion: 5 });
    });
    afterAll(async () => {
      await client?.endAsync(true);
      await server?.close();
    });
    const source = (topic: string, reports: AiosError[]) =>
      openSource(
        mqttProtocol,
        { broker: `127.0.0.1:${server.port}`, topics: [`${topic}/#`], clientId: topic, version },
        { name: topic, events: { type: "'t'" }, reports },
      );
    const put = (topic: string, text: string, retain = false) =>
      client.publishAsync(`${topic}/a`, text, { qos: 1, retain });
    const data = ({ events }: Following) => events.map((one) => one.data);
    /** As another client with our id, that begins its session anew. */
    const begunByAnother = async (clientId: string, sessionExpiryInterval: number) => {
      const properties = { sessionExpiryInterval };
      const more = { clientId, clean: true, protocolVersion: 5, properties, reconnectPeriod: 0 } as const;
      const other = await mqtt.connectAsync(`mqtt://127.0.0.1:${server.port}`, more);
      await other.endAsync();
    };

    it.each([
      ['deleted', 0, ['bridges.gap']],
      ['left without its subscriptions', 3600, []],
    ] as const)('is read on where it was %s while the bridge was away', async (what, expiry, told) => {
      const topic = `away-${what.length}`;
      const reports: AiosError[] = [];
      await put(topic, 'kept', true);
      const before = follow(source(topic, reports));
      await expect.poll(() => data(before), WAIT).toEqual(['kept']);
      await put(topic, 'a');
      await expect.poll(() => data(before), WAIT).toEqual(['kept', 'a']);
      await before.stop();
      await begunByAnother(topic, expiry);
      const place = { clientId: topic, topics: [`${topic}/#`], taken: [] };
      const after = follow(source(topic, reports), place);
      // What is retained comes with a subscription that is new, as the event that it was.
      await expect.poll(() => data(after), WAIT).toEqual(['kept']);
      expect(after.events[0]!.id).toBe(before.events[0]!.id);
      expect(before.events[1]!.id).not.toContain('retained');
      await put(topic, 'b');
      await expect.poll(() => data(after), WAIT).toEqual(['kept', 'b']);
      await after.stop();
      expect(reports.map(({ code }) => code)).toEqual(told);
    });

    it('is taken back from a client that began it anew while the bridge read it', async () => {
      const reports: AiosError[] = [];
      const following = follow(source('taken', reports));
      await put('taken', 'kept', true);
      await expect.poll(() => data(following), WAIT).toEqual(['kept']);
      await begunByAnother('taken', 3600);
      await expect.poll(() => following.faults, WAIT).toEqual(['bridges.unreachable']);
      await expect.poll(() => put('taken', 'b').then(() => data(following).includes('b')), WAIT).toBe(true);
      await following.stop();
    });
  },
);
