import { setTimeout as sleep } from 'node:timers/promises';
import mqtt, { type IPublishPacket, type MqttClient } from 'mqtt';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { CloudEvent, LoggedEvent } from '../../../../kernel/cloudevent.ts';
import type { AiosError } from '../../../../kernel/errors.ts';
import type { JsonObject } from '../../../../kernel/json.ts';
import { debianPackages } from '../../../../testing/debian.ts';
import { startMosquitto } from '../../../../testing/mosquitto.ts';
import type { ServerUnderTest } from '../../../../testing/server.ts';
import { event } from '../../../event-under-test.ts';
import type { EventSource } from '../../port/event-source.ts';
import { sinkConformance } from '../../port/sink-conformance.ts';
import { sourceConformance } from '../../port/source-conformance.ts';
import { sendThroughKills } from '../killed-sinks-under-test.ts';
import { openSink, openSource } from '../protocol-under-test.ts';
import { mqttProtocol } from './mqtt-protocol.ts';

const untilDone = async (work: () => Promise<unknown>) => {
  for (;;)
    try {
      await work();
      return;
    } catch {
      await sleep(20);
    }
};

const debian = await debianPackages(['mosquitto']);

describe.skipIf(!debian)(`MQTT 5${debian ? '' : ' (skipped: mosquitto needs Debian)'}`, () => {
  let server: ServerUnderTest;
  let client: MqttClient;
  const readers: MqttClient[] = [];
  beforeAll(async () => {
    server = await startMosquitto(debian!, (folder) => [
      ...['persistence true', `persistence_location ${folder}/`],
      ...['autosave_interval 1', 'autosave_on_changes true', 'max_queued_messages 100000'],
    ]);
    client = await mqtt.connectAsync(broker(), { protocolVersion: 5 });
  });
  afterAll(async () => {
    for (const one of [client, ...readers]) await one?.endAsync(true);
    await server?.close();
  });
  const address = () => `127.0.0.1:${server.port}`;
  const broker = () => `mqtt://${address()}`;
  let topics = 0;
  const take = async (source: EventSource, count: number, from?: JsonObject, isAcknowledged = false) => {
    const ended = new AbortController();
    const taken = { events: [] as CloudEvent[], position: from };
    for await (const batch of source.read(from, ended.signal)) {
      taken.events.push(...batch.events);
      taken.position = batch.position;
      if (isAcknowledged) await batch.acknowledge?.();
      if (taken.events.length >= count) break;
    }
    ended.abort();
    return taken;
  };
  const put = (topic: string) => async (events: readonly CloudEvent[]) => {
    const properties = { contentType: 'application/cloudevents+json' };
    for (const one of events) await client.publishAsync(topic, JSON.stringify(one), { qos: 1, properties });
  };

  /** A session that has its topics: before it the broker keeps nothing for it. */
  const session = async (options: { name: string; topics: string[] }) => {
    const open = (more: object = {}) =>
      openSource(
        mqttProtocol,
        { broker: address(), topics: options.topics },
        { name: options.name, ...more },
      );
    const ended = new AbortController();
    await new Promise<void>((answered, fail) => {
      const reading = open({ answered }).read(undefined, ended.signal)[Symbol.asyncIterator]().next();
      reading.catch(fail);
    });
    ended.abort();
    return open;
  };

  sourceConformance('mqtt', async () => {
    const topic = `t${topics++}`;
    const open = await session({ name: topic, topics: [`${topic}/#`] });
    return { put: put(`${topic}/in`), open };
  });

  /** What arrives at topics; a message that comes again under its id is left out, as the specification of CloudEvents asks of readers. */
  const subscribed = async (topic: string) => {
    const reader = await mqtt.connectAsync(broker(), { protocolVersion: 5 });
    readers.push(reader);
    const arrived: { payload: string; topic: string; properties: IPublishPacket['properties'] }[] = [];
    reader.on('message', (on, payload, { properties }) =>
      arrived.push({ payload: payload.toString(), topic: on, properties }),
    );
    await reader.subscribeAsync(`${topic}/#`, { qos: 2 });
    let markers = 0;
    return async () => {
      const marker = `${topic}/marker${markers++}`;
      await client.publishAsync(marker, '', { qos: 2 }); // one of QoS 1 would overtake others
      await expect.poll(() => arrived.some(({ topic: on }) => on === marker), { timeout: 15_000 }).toBe(true);
      return arrived.filter(({ topic: on }) => !on.includes('/marker'));
    };
  };

  sinkConformance('mqtt with QoS 2', async () => {
    const topic = `t${topics++}`;
    const arrived = await subscribed(topic);
    const settings = { broker: address(), topic: `${topic}/out`, qos: 2 };
    return {
      open: (group, more) => openSink(mqttProtocol, settings, { name: `exact-${group}`, ...more }),
      async received() {
        return (await arrived()).map(({ payload, properties }) => {
          const { 'aios-partition': partition, 'aios-offset': offset } = properties!.userProperties!;
          const { id } = JSON.parse(payload) as CloudEvent;
          return { partition: Number(partition), offset: Number(offset), id };
        });
      },
    };
  });

  sinkConformance('mqtt', async () => {
    const topic = `t${topics++}`;
    const arrived = await subscribed(topic);
    return {
      open: (group, more) =>
        openSink(mqttProtocol, { broker: address(), topic: `${topic}/out` }, { name: group, ...more }),
      async received() {
        const byId = new Map<string, { partition: number; offset: number; id: string }>();
        for (const { payload, properties } of await arrived()) {
          const { id } = JSON.parse(payload) as CloudEvent;
          const { 'aios-partition': partition, 'aios-offset': offset } = properties!.userProperties!;
          if (!byId.has(id)) byId.set(id, { partition: Number(partition), offset: Number(offset), id });
        }
        return [...byId.values()];
      },
    };
  });

  const logged = (offset: number, one: CloudEvent): LoggedEvent => ({
    ...{ partition: 0, offset, timeMs: 0, recordedAtMs: 0, event: one },
  });

  it.each(['structured', 'binary'] as const)('carries events in %s mode as they are', async (format) => {
    const topic = `t${topics++}`;
    const open = await session({ name: topic, topics: [`${topic}/#`] });
    const sent = [
      event('one', { subject: 'Größe, 5 % off', partitionkey: 'k', datacontenttype: 'application/json' }),
      event('two', { datacontenttype: 'text/plain', data: 'text' }),
    ];
    const settings = { broker: address(), topicOf: `'${topic}/' + event.id`, qos: 2 };
    const sink = openSink(mqttProtocol, settings, { format, name: topic });
    await sink.deliver(sent.map((one, offset) => logged(offset, one)));
    await sink.close?.();
    const { events } = await take(open(), 2);
    expect(events).toEqual(sent);
  });

  it('takes a message that is not an event once, though its acknowledgement is lost, and again when its commit is', async () => {
    const topic = `t${topics++}`;
    const events = { type: "'boiler.measured'", subject: 'topic', data: 'value' };
    const open = await session({ name: topic, topics: [`${topic}/#`] });
    for (const value of ['81', '81', '82', 'x'])
      await client.publishAsync(`${topic}/boiler`, value, { qos: 1 });
    const lost = await take(open({ events }), 4);
    const first = await take(open({ events }), 4);
    expect(first.events.map(({ data }) => data)).toEqual([81, 81, 82, 'x']);
    expect(new Set([...lost.events, ...first.events].map(({ id }) => id)).size).toBe(8);
    await client.publishAsync(`${topic}/boiler`, '81', { qos: 1 });
    // Committed, and not acknowledged: all come again, and are known.
    const second = await take(open({ events }), 1, first.position);
    expect(second.events.map(({ data }) => data)).toEqual([81]);
    await client.publishAsync(`${topic}/boiler`, '83', { qos: 1 });
    const third = await take(open({ events }), 1, second.position);
    expect(third.events.map(({ data }) => data)).toEqual([83]);
  });

  it('sends nothing again, but for what a killed process had just written', async () => {
    const topic = `t${topics++}`;
    const arrived = await subscribed(topic);
    const count = 600;
    const killed = await sendThroughKills('mqtt', { broker: address(), topic: `${topic}/out` }, topic, count);
    const messages = await arrived();
    const placesOf = (partition: number) =>
      messages
        .map(({ properties }) => properties!.userProperties!)
        .filter((user) => Number(user['aios-partition']) === partition)
        .map((user) => Number(user['aios-offset']));
    for (const partition of [0, 1, 2]) {
      const offsets = placesOf(partition);
      expect(new Set(offsets).size).toBe(Math.ceil((count - partition) / 3));
      // One that has come before says so by its offset.
      const known = offsets.filter((offset, at) => offsets.indexOf(offset) === at);
      expect(known).toEqual([...known].sort((a, b) => a - b));
    }
    // A batch of 20 at most was on its way.
    expect(messages.length - count).toBeLessThanOrEqual(killed * 20);
  });

  it('passes each on once with QoS 2, though its process is killed at any moment and the next one begins anew', async () => {
    const topic = `t${topics++}`;
    const arrived = await subscribed(topic);
    const count = 1_200;
    const settings = { broker: address(), topic: `${topic}/out`, qos: 2 };
    expect(await sendThroughKills('mqtt', settings, topic, count)).toBeGreaterThan(0);
    const ids = (await arrived()).map(({ payload }) => (JSON.parse(payload) as CloudEvent).id);
    expect(ids).toHaveLength(count);
    expect(new Set(ids).size).toBe(count);
  });

  it.each([1, 2])(
    'goes on behind what an earlier process sent with QoS %i, where it may keep its place',
    async (qos) => {
      const topic = `t${topics++}`;
      const arrived = await subscribed(topic);
      const events = [logged(0, event('a')), logged(1, event('b', { subject: '#' })), logged(2, event('c'))];
      const settings = {
        broker: address(),
        topicOf: `'${topic}/' + (has(event.subject) ? event.subject : 'out')`,
        qos,
      };
      const deliver = async (more: object, isAgain = false) => {
        const sink = openSink(mqttProtocol, { ...settings, ...more }, { name: topic });
        const { refused = [] } = await sink.deliver(events, isAgain ? 'again' : undefined);
        await sink.close?.();
        return { count: (await arrived()).length, refused: refused.map(({ event: { offset } }) => offset) };
      };
      expect(await deliver({})).toEqual({ count: 2, refused: [1] });
      expect(await deliver({})).toEqual({ count: 2, refused: [1] });
      expect(await deliver({ version: '3.1.1' })).toEqual({ count: 2, refused: [1] });
      expect(await deliver({}, true)).toEqual({ count: 4, refused: [1] });
      expect(await deliver({ placeInBroker: false })).toEqual({ count: 6, refused: [1] });
    },
  );

  it.each([1, 2])('sends nothing past an event without a topic, where it is told to, QoS %i', async (qos) => {
    const topic = `t${topics++}`;
    const arrived = await subscribed(topic);
    const settings = { broker: address(), topicOf: `'${topic}/' + event.subject`, qos };
    const events = ['a', '#', 'c', 'd'].map((subject, n) => logged(n, event(`s${n}`, { subject })));
    const other = { ...logged(0, event('other', { subject: 'o' })), partition: 1 };
    const sink = openSink(mqttProtocol, settings, { name: topic });
    expect(await sink.deliver([...events, other], 'strict')).toMatchObject({
      refused: [{ event: { offset: 1 } }],
      undone: [{ offset: 2 }, { offset: 3 }],
    });
    await sink.close?.();
    const next = openSink(mqttProtocol, settings, { name: topic });
    const mended = events.map((one) => ({ ...one, event: { ...one.event, subject: 'm' } }));
    expect(await next.deliver(mended.slice(1), 'strict')).toMatchObject({ refused: [], undone: [] });
    await next.close?.();
    const ids = (await arrived()).map(({ payload }) => (JSON.parse(payload) as CloudEvent).id);
    expect(ids.filter((id) => id !== 'other')).toEqual(['s0', 's1', 's2', 's3']);
    expect(ids).toHaveLength(5);
  });

  it('has a session apart from that of another database with a bridge of its name', async () => {
    const topic = `t${topics++}`;
    const open = (space: string, more: object = {}) =>
      openSource(
        mqttProtocol,
        { broker: address(), topics: [`${topic}/#`] },
        { name: topic, space, ...more },
      );
    const ended = new AbortController();
    const subscribedBy = (space: string) =>
      new Promise<void>((answered, fail) => {
        const reading = open(space, { answered }).read(undefined, ended.signal)[Symbol.asyncIterator]();
        reading.next().catch(fail);
      });
    await Promise.all([subscribedBy('one'), subscribedBy('other')]);
    ended.abort();
    const events = Array.from({ length: 20 }, (_, n) => event(`both${n}`));
    await put(topic)(events);
    const ids = async (space: string) =>
      (await take(open(space), 20, undefined, true)).events.map(({ id }) => id);
    const [one, other] = await Promise.all([ids('one'), ids('other')]);
    expect(one).toEqual(events.map(({ id }) => id));
    expect(other).toEqual(one);
  });

  it('subscribes anew where its place is of another session', async () => {
    const topic = `t${topics++}`;
    const open = (clientId: string) =>
      openSource(mqttProtocol, { broker: address(), topics: [`${topic}/#`], clientId }, { name: topic });
    await client.publishAsync(`${topic}/a`, JSON.stringify(event('kept')), { qos: 1, retain: true });
    const { position } = await take(open(`${topic}-one`), 1, undefined, true);
    const other = { clientId: `${topic}-other`, clean: false, properties: { sessionExpiryInterval: 60 } };
    const session = await mqtt.connectAsync(broker(), { protocolVersion: 5, ...other });
    await session.endAsync();
    const { events } = await take(open(other.clientId), 1, position);
    expect(events.map(({ id }) => id)).toEqual(['kept']);
  });

  it('reads many that wait for it', async () => {
    const topic = `t${topics++}`;
    const open = await session({ name: topic, topics: [`${topic}/#`] });
    await put(topic)(Array.from({ length: 300 }, (_, n) => event(`m${n}`)));
    const { events } = await take(open(), 300, undefined, true);
    expect(events.map(({ id }) => id)).toEqual(Array.from({ length: 300 }, (_, n) => `m${n}`));
  });

  it('takes what is retained once for a session, and tells when the broker forgot the session', async () => {
    const topic = `t${topics++}`;
    await client.publishAsync(`${topic}/kept`, '{"n":1}', { qos: 1, retain: true });
    const settings = { broker: address(), topics: [`${topic}/#`] };
    const events = { type: "'kept'" };
    const reports: AiosError[] = [];
    const open = () => openSource(mqttProtocol, settings, { name: topic, events, reports });
    const first = await take(open(), 1, undefined, true);
    await client.publishAsync(`${topic}/next`, '{"n":2}', { qos: 1 });
    const second = await take(open(), 1, first.position, true);
    expect([...first.events, ...second.events].map(({ data }) => data)).toEqual([{ n: 1 }, { n: 2 }]);
    expect(reports).toEqual([]);
    const other = await mqtt.connectAsync(broker(), {
      clientId: `aios-${topic}-of-the-test`,
      protocolVersion: 5,
      clean: true,
    });
    await other.endAsync();
    await take(open(), 1, second.position);
    expect(reports.map(({ code }) => code)).toEqual(['bridges.gap']);
  });

  it('goes on when the broker was killed in the middle', async () => {
    const topic = `t${topics++}`;
    const open = await session({ name: topic, topics: [`${topic}/#`] });
    const sink = openSink(mqttProtocol, { broker: address(), topic }, { name: topic });
    const ids = new Set<string>();
    let position: JsonObject | undefined;
    const ended = new AbortController();
    const reading = untilDone(async () => {
      for await (const batch of open().read(position, ended.signal)) {
        for (const { id } of batch.events) ids.add(id);
        position = batch.position;
        await batch.acknowledge?.();
        if (ids.size >= 400) return;
      }
    });
    const delivering = (async () => {
      for (let from = 0; from < 400; from += 20)
        await untilDone(() =>
          sink.deliver(Array.from({ length: 20 }, (_, n) => logged(from + n, event(`k${from + n}`)))),
        );
    })();
    await expect.poll(() => ids.size, { timeout: 15_000 }).toBeGreaterThan(20);
    await server.kill();
    await server.start();
    await Promise.all([delivering, reading]);
    ended.abort();
    await sink.close?.();
    client = await mqtt.connectAsync(broker(), { protocolVersion: 5 });
    expect(ids.size).toBe(400);
  });

  it('says what is wrong with its settings, and refuses a message alone', async () => {
    const unreachable = openSource(mqttProtocol, { broker: '127.0.0.1:1', topics: ['a'] });
    await expect(take(unreachable, 1)).rejects.toMatchObject({ code: 'bridges.unreachable' });
    const wrong = openSource(mqttProtocol, { broker: address(), topics: ['a/#/b'] });
    await expect(take(wrong, 1)).rejects.toMatchObject({ code: expect.stringMatching(/^bridges\./) });
    const [problem] = mqttProtocol.sink!.check!({ broker: address(), topicOf: 'event.(' }, 'raw');
    expect(problem).toMatchObject({ path: '/topicOf' });
    const sink = openSink(
      mqttProtocol,
      { broker: address(), topicOf: 'event.subject' },
      { name: 'refusing' },
    );
    const { refused } = await sink.deliver([
      logged(0, event('x', { subject: 'a/#' })),
      logged(1, event('y', { subject: 'a/b' })),
      logged(2, event('z')),
    ]);
    expect(refused).toMatchObject([
      { event: { offset: 0 }, error: { code: 'bridges.message_refused' } },
      {
        event: { offset: 2 },
        error: { code: 'bridges.message_refused', message: expect.stringMatching(/subject/) },
      },
    ]);
    await sink.close?.();
  });
});
