import { join } from 'node:path';
import { jetstream, jetstreamManager } from '@nats-io/jetstream';
import { connect, headers, type NatsConnection } from '@nats-io/transport-node';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { CloudEvent, LoggedEvent } from '../../../../kernel/cloudevent.ts';
import type { AiosError } from '../../../../kernel/errors.ts';
import { debianPackages } from '../../../../testing/debian.ts';
import { ServerUnderTest } from '../../../../testing/server.ts';
import { event } from '../../../event-under-test.ts';
import type { EventSink, EventSource } from '../../port/event-source.ts';
import { sinkConformance } from '../../port/sink-conformance.ts';
import { sourceConformance } from '../../port/source-conformance.ts';
import { contextOf, openSink, openSource } from '../protocol-under-test.ts';
import { natsProtocol } from './nats-protocol.ts';

const debian = await debianPackages(['nats-server']);
const STRUCTURED = 'application/cloudevents+json';

describe.skipIf(!debian)(`NATS JetStream${debian ? '' : ' (skipped: nats-server needs Debian)'}`, () => {
  let server: ServerUnderTest;
  let connection: NatsConnection;
  const connected = () => connect({ servers: `127.0.0.1:${server.port}` });
  beforeAll(async () => {
    server = await ServerUnderTest.start(
      ({ port, folder }) => [
        join(debian!.root, 'usr/sbin/nats-server'),
        ...['-a', '127.0.0.1', '-p', String(port), '-js', '-sd', folder],
      ],
      debian!.env,
    );
    connection = await connected();
  });
  afterAll(async () => {
    await connection?.close();
    await server?.close();
  });

  let streams = 0;
  const stream = async (more: object = {}) => {
    const name = `s${streams++}`;
    const manager = await jetstreamManager(connection);
    await manager.streams.add({ name, subjects: [`${name}.>`], ...more });
    return name;
  };
  const servers = () => [`127.0.0.1:${server.port}`];
  const put = async (name: string, events: readonly CloudEvent[]) => {
    const client = jetstream(connection);
    const all = headers();
    all.set('Content-Type', STRUCTURED);
    for (const one of events)
      await client.publish(`${name}.in`, JSON.stringify(one), { headers: all, retries: 20 });
  };
  const take = async (source: EventSource, count: number, from?: object) => {
    const ended = new AbortController();
    const taken = { events: [] as CloudEvent[], rejected: [] as CloudEvent[], position: {} };
    for await (const batch of source.read(from as never, ended.signal)) {
      taken.events.push(...batch.events);
      taken.rejected.push(...(batch.rejected ?? []).map(({ letter }) => letter));
      taken.position = batch.position;
      if (taken.events.length + taken.rejected.length >= count) break;
    }
    ended.abort();
    return taken;
  };
  const stored = async (name: string) => {
    const manager = await jetstreamManager(connection);
    const { state } = await manager.streams.info(name);
    const found = [];
    for (let seq = state.first_seq; seq <= state.last_seq; seq++) {
      const message = await manager.streams.getMessage(name, { seq });
      if (message) found.push(message);
    }
    return found;
  };

  sourceConformance('nats', async () => {
    const name = await stream();
    return {
      put: (events) => put(name, events),
      open: (more) => openSource(natsProtocol, { servers: servers(), stream: name }, { name, ...more }),
    };
  });

  it('tells how far it is behind', async () => {
    const name = await stream();
    await put(
      name,
      Array.from({ length: 5 }, (_, n) => event(`behind${n}`)),
    );
    const told: number[] = [];
    const ids: string[] = [];
    const ended = new AbortController();
    const behind = (messages: number) => {
      told.push(messages);
      if (messages === 0) ended.abort();
    };
    const from = openSource(
      natsProtocol,
      { servers: servers(), stream: name },
      { batchMax: () => 2, behind },
    );
    for await (const { events } of from.read(undefined, ended.signal))
      ids.push(...events.map(({ id }) => id));
    expect(ids).toHaveLength(5);
    expect([told[0], told.at(-1)]).toEqual([5, 0]);
    expect(told).toEqual([...told].sort((a, b) => b - a));
  });

  sinkConformance('nats', async () => {
    const name = await stream();
    const subject = `${name}.out`;
    return {
      open: (group, more) =>
        openSink(natsProtocol, { servers: servers(), subject }, { name: group, ...more }),
      async received() {
        return (await stored(name)).map((message) => ({
          partition: Number(message.subject.split('.').at(-1)),
          offset: Number(message.header.get('Aios-Offset')),
          id: message.json<{ id: string }>().id,
        }));
      },
    };
  });

  const logged = (from: number, to: number, partition = 0): LoggedEvent[] =>
    Array.from({ length: to - from }, (_, n) => ({
      ...{ partition, offset: from + n, timeMs: 0, recordedAtMs: 0 },
      event: event(`${partition}-${from + n}`, { subject: 'Größe, 5 % off' }),
    }));
  const offsets = async (name: string) =>
    (await stored(name)).map(({ header }) => Number(header.get('Aios-Offset')));

  it.each(['structured', 'binary'] as const)('carries events in %s mode as they are', async (format) => {
    const name = await stream();
    const sink = openSink(natsProtocol, { servers: servers(), subject: name }, { format });
    const sent = [
      event('one', { subject: 'Größe, 5 % off', partitionkey: 'k', data: { n: 1 } }),
      event('two', { datacontenttype: 'text/plain', data: 'text' }),
      event('three', { datacontenttype: 'application/octet-stream', data_base64: 'AAEC' }),
    ].map(({ data, ...one }) => (one.data_base64 ? one : { ...one, data }) as CloudEvent);
    await sink.deliver(sent.map((one, offset) => ({ ...logged(0, 1)[0]!, offset, event: one })));
    await sink.close?.();
    const [first] = await stored(name);
    expect(first!.header.get('ce-subject')).toBe(format === 'binary' ? 'Gr%C3%B6%C3%9Fe, 5 %25 off' : '');
    const { events } = await take(openSource(natsProtocol, { servers: servers(), stream: name }), 3);
    const [one, ...more] = sent;
    // Binary mode says what the data is; the event itself left it to the default.
    const json = format === 'binary' ? { datacontenttype: 'application/json' } : {};
    expect(events).toEqual([{ ...one, ...json }, ...more]);
  });

  it('makes events of other messages by expressions, each of its own, and puts aside what is none', async () => {
    const name = await stream();
    const client = jetstream(connection);
    await client.publish(`${name}.boiler.7`, '{"celsius":81}');
    await client.publish(`${name}.boiler.7`, '{"celsius":81}');
    await client.publish(`${name}.boiler.8`, 'broken');
    const settings = { servers: servers(), stream: name, subject: `${name}.boiler.*` };
    const mapping = { type: "'boiler.measured'", subject: 'topic', data: '{"c": value.celsius}' };
    const { events, rejected } = await take(openSource(natsProtocol, settings, { events: mapping }), 3);
    expect(events).toMatchObject([
      { type: 'boiler.measured', subject: `${name}.boiler.7`, data: { c: 81 } },
      { type: 'boiler.measured', subject: `${name}.boiler.7`, data: { c: 81 } },
    ]);
    expect(events[0]!.id).not.toBe(events[1]!.id);
    expect(rejected).toMatchObject([{ data: { text: 'broken', position: { stream: name, sequence: 3 } } }]);
  });

  it('begins where it is told to, and reads only its subject', async () => {
    const name = await stream();
    await put(name, [event('before')]);
    const settings = { servers: servers(), stream: name, subject: `${name}.in` };
    const reading = take(openSource(natsProtocol, settings, { start: 'latest' }), 1);
    const manager = await jetstreamManager(connection);
    await expect
      .poll(async () => (await manager.streams.info(name)).state.consumer_count, { timeout: 15_000 })
      .toBe(1);
    await jetstream(connection).publish(`${name}.other`, '{}');
    await put(name, [event('after')]);
    expect((await reading).events.map(({ id }) => id)).toEqual(['after']);
  });

  it('tells of messages that the stream dropped before they were read, and of a stream made anew', async () => {
    const name = await stream({ max_msgs: 3 });
    const many = Array.from({ length: 10 }, (_, n) => event(`m${n}`));
    const reports: AiosError[] = [];
    const source = openSource(natsProtocol, { servers: servers(), stream: name }, { reports });
    await put(name, many.slice(0, 2));
    const { position } = await take(source, 2);
    await put(name, many.slice(2));
    const later = await take(source, 3, position);
    expect(later.events.map(({ id }) => id)).toEqual(['m7', 'm8', 'm9']);
    expect(reports.map(({ code, message }) => [code, message])).toEqual([
      ['bridges.gap', expect.stringContaining('3 to 7')],
    ]);
    const manager = await jetstreamManager(connection);
    await manager.streams.delete(name);
    await manager.streams.add({ name, subjects: [`${name}.>`] });
    await put(name, [event('new')]);
    expect((await take(source, 1, later.position)).events.map(({ id }) => id)).toEqual(['new']);
    expect(reports.at(-1)!.message).toContain('made anew');
  });

  it('leaves no gap when the stream refuses some of a batch', async () => {
    const name = await stream({ max_msgs: 5, discard: 'new' });
    const sink = openSink(natsProtocol, { servers: servers(), subject: name });
    await expect(sink.deliver(logged(0, 20))).rejects.toMatchObject({ code: 'bridges.refused' });
    expect(await offsets(name)).toEqual([0, 1, 2, 3, 4]);
    const manager = await jetstreamManager(connection);
    await manager.streams.update(name, { max_msgs: 100 });
    await sink.deliver(logged(0, 20));
    expect(await offsets(name)).toEqual(Array.from({ length: 20 }, (_, n) => n));
    await sink.close?.();
  });

  it('keeps each once past the window of duplicates, while others write to the stream', async () => {
    const name = await stream({ duplicate_window: 100_000_000 });
    const subject = `${name}.out`;
    const [one, other] = [0, 1].map(() => openSink(natsProtocol, { servers: servers(), subject }));
    let isOver = false;
    const noise = (async () => {
      while (!isOver) await jetstream(connection).publish(`${name}.noise`, 'x');
    })();
    await one!.deliver([...logged(0, 60), ...logged(0, 60, 1)]);
    await new Promise((done) => setTimeout(done, 250));
    await Promise.all([other!.deliver(logged(40, 90)), one!.deliver(logged(30, 80))]);
    isOver = true;
    await noise;
    const sent = (await stored(name)).filter((message) => message.subject === `${subject}.0`);
    expect(sent.map(({ header }) => Number(header.get('Aios-Offset')))).toEqual(
      Array.from({ length: 90 }, (_, n) => n),
    );
    await Promise.all([one!.close?.(), other!.close?.()]);
  });

  it('refuses an event over the size of the server or the stream alone, and sends a dead letter once more', async () => {
    const name = await stream({ max_msg_size: 10_000 });
    const sink = openSink(natsProtocol, { servers: servers(), subject: name });
    const [first, second, third] = logged(0, 3) as [LoggedEvent, LoggedEvent, LoggedEvent];
    for (const size of [2_000_000, 20_000]) {
      const large = { ...second, event: event('large', { data: 'x'.repeat(size) }) };
      expect(await sink.deliver([first, large, third])).toMatchObject({
        undone: [],
        refused: [{ event: { offset: 1 }, error: { code: 'bridges.message_refused' } }],
      });
    }
    await sink.deliver([second], 'again');
    const other = openSink(natsProtocol, { servers: servers(), subject: name });
    await other.deliver(logged(2, 4));
    expect((await stored(name)).map((message) => message.json<CloudEvent>().id)).toEqual([
      ...['0-0', '0-2', '0-1', '0-3'],
    ]);
    await Promise.all([sink.close?.(), other.close?.()]);
  });

  it('sends nothing past an event that is too large, where it is told to', async () => {
    const name = await stream({ max_msg_size: 10_000 });
    const sink = openSink(natsProtocol, { servers: servers(), subject: name });
    const [first, second, third, fourth] = logged(0, 4) as [
      LoggedEvent,
      LoggedEvent,
      LoggedEvent,
      LoggedEvent,
    ];
    const large = { ...second, event: event('large', { data: 'x'.repeat(20_000) }) };
    expect(await sink.deliver([first, large, third, fourth, ...logged(0, 1, 1)], 'strict')).toMatchObject({
      refused: [{ event: { offset: 1 } }],
      undone: [{ offset: 2 }, { offset: 3 }],
    });
    await sink.deliver([second, third, fourth], 'strict');
    await sink.close?.();
    expect((await stored(name)).map((message) => message.json<CloudEvent>().id)).toEqual([
      ...['0-0', '1-0', '0-1', '0-2', '0-3'],
    ]);
  });

  it.each(['limits', 'workqueue'])('keeps the places of two databases apart (%s)', async (retention) => {
    const name = await stream({ retention });
    const sinkOf = (space: string) =>
      natsProtocol.sink!.open(
        { ...contextOf(natsProtocol), space },
        { servers: servers(), subject: name },
      ) as EventSink;
    const deliver = async (sink: EventSink, space: string, from: number, to: number) =>
      sink.deliver(logged(from, to).map((one) => ({ ...one, event: event(`${space}${one.offset}`) })));
    const [one, other] = [sinkOf('a'), sinkOf('b')];
    await deliver(one, 'a', 0, 2);
    await deliver(other, 'b', 0, 2);
    await deliver(one, 'a', 0, 3);
    await deliver(other, 'b', 1, 3);
    await Promise.all([one.close?.(), other.close?.()]);
    // The last message is of the other: what it hands on says how far this one came.
    const again = sinkOf('a');
    await deliver(again, 'a', 0, 4);
    await again.close?.();
    expect((await stored(name)).map((message) => message.json<CloudEvent>().id)).toEqual([
      ...['a0', 'a1', 'b0', 'b1', 'a2', 'b2', 'a3'],
    ]);
  });

  it('hands the places of other databases on, up to a bound', async () => {
    const name = await stream();
    for (let n = 0; n < 20; n++) {
      const context = { ...contextOf(natsProtocol), space: `s${n}` };
      const sink = natsProtocol.sink!.open(context, { servers: servers(), subject: name }) as EventSink;
      await sink.deliver(logged(n, n + 1));
      await sink.close?.();
    }
    const last = (await stored(name)).at(-1)!;
    expect(last.header.get('Aios-Others')).toBe(
      Array.from({ length: 16 }, (_, n) => `s${18 - n}:${18 - n}`).join(', '),
    );
  });

  it('sends to a work queue, by ids', async () => {
    const name = await stream({ retention: 'workqueue' });
    const sink = openSink(natsProtocol, { servers: servers(), subject: name });
    await sink.deliver(logged(0, 5));
    await sink.deliver(logged(3, 8));
    expect(await offsets(name)).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
    await sink.close?.();
  });

  it('says what is wrong with its settings', async () => {
    const wrong = (settings: object) =>
      take(openSource(natsProtocol, { servers: servers(), stream: 'none', ...settings }), 1);
    await expect(wrong({})).rejects.toMatchObject({
      code: 'bridges.refused',
      message: expect.stringContaining('stream not found'),
    });
    await expect(wrong({ servers: ['127.0.0.1:1'] })).rejects.toMatchObject({ code: 'bridges.unreachable' });
    const lost = openSink(natsProtocol, { servers: servers(), subject: 'nowhere' });
    await expect(lost.deliver(logged(0, 1))).rejects.toMatchObject({
      code: 'bridges.refused',
      message: expect.stringContaining('No stream takes nowhere.*'),
    });
    const name = await stream();
    await jetstream(connection).publish(`${name}.0`, 'mine');
    const taken = openSink(natsProtocol, { servers: servers(), subject: name });
    await expect(taken.deliver(logged(0, 1))).rejects.toMatchObject({
      message: expect.stringContaining('another writer'),
    });
  });

  it('goes on when the server was killed in the middle', async () => {
    const name = await stream();
    const settings = { servers: servers(), stream: name };
    const sink = openSink(natsProtocol, { servers: servers(), subject: name });
    const delivering = (async () => {
      for (let from = 0; from < 400; from += 20)
        while (
          !(await sink.deliver(logged(from, from + 20)).then(
            () => true,
            () => false,
          ))
        )
          await new Promise((done) => setTimeout(done, 20));
    })();
    const source = openSource(natsProtocol, settings);
    const ids: string[] = [];
    const ended = new AbortController();
    let position: object | undefined;
    const reading = (async () => {
      while (ids.length < 400)
        try {
          for await (const batch of source.read(position as never, ended.signal)) {
            ids.push(...batch.events.map(({ id }) => id));
            position = batch.position;
            if (ids.length >= 400) break;
          }
        } catch {
          await new Promise((done) => setTimeout(done, 20));
        }
    })();
    await expect.poll(() => ids.length, { timeout: 15_000 }).toBeGreaterThan(20);
    await server.kill();
    await server.start();
    await Promise.all([delivering, reading]);
    ended.abort();
    await sink.close?.();
    connection = await connected();
    expect(ids).toEqual(logged(0, 400).map(({ event: { id } }) => id));
  });
});
