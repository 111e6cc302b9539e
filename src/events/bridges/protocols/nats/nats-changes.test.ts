import { writeFile } from 'node:fs/promises';
import { connect as tcp } from 'node:net';
import { join } from 'node:path';
import { type JetStreamManager, jetstream, jetstreamManager } from '@nats-io/jetstream';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { systemClock } from '../../../../kernel/clock.ts';
import type { CloudEvent } from '../../../../kernel/cloudevent.ts';
import { AiosError } from '../../../../kernel/errors.ts';
import type { JsonObject } from '../../../../kernel/json.ts';
import { debianPackages } from '../../../../testing/debian.ts';
import { ServerUnderTest } from '../../../../testing/server.ts';
import { event } from '../../../event-under-test.ts';
import { type Following, follow } from '../following-under-test.ts';
import { contextOf, openSink, openSource } from '../protocol-under-test.ts';
import { logged, told } from '../told-under-test.ts';
import { connectNats } from './connection.ts';
import { natsProtocol } from './nats-protocol.ts';
import { natsSource } from './source.ts';

const debian = await debianPackages(['nats-server']);
const ALL = '{ user: bridge, password: bridge }';
const OTHER_PASSWORD = '{ user: bridge, password: other }';
const WITHOUT_OUT =
  '{ user: bridge, password: bridge, permissions: { publish: { allow: ">", deny: "*.out.*" } } }';
const WAIT = { timeout: 25_000, interval: 50 };

describe.skipIf(!debian)(
  `NATS JetStream that changes${debian ? '' : ' (skipped: nats-server needs Debian)'}`,
  () => {
    let server: ServerUnderTest;
    let connection: NatsConnection;
    let manager: JetStreamManager;
    const settingsFile = (one: ServerUnderTest, bridge: string) =>
      writeFile(
        join(one.folder, 'nats.conf'),
        [
          ...[`port: ${one.port}`, 'host: 127.0.0.1', `jetstream: { store_dir: "${one.folder}" }`],
          `authorization: { users: [ { user: test, password: test }, ${bridge} ] }`,
        ].join('\n'),
      );
    const allow = async (bridge: string) => {
      await settingsFile(server, bridge);
      await server.reload(/Reloaded server configuration/);
    };
    beforeAll(async () => {
      server = await ServerUnderTest.start(
        ({ folder }) => [join(debian!.root, 'usr/sbin/nats-server'), '-c', join(folder, 'nats.conf')],
        debian!.env,
        (one) => settingsFile(one, ALL),
      );
      connection = await connect({ servers: `127.0.0.1:${server.port}`, user: 'test', pass: 'test' });
      manager = await jetstreamManager(connection);
    });
    afterAll(async () => {
      await connection?.close();
      await server?.close();
    });
    let streams = 0;
    const stream = async (more: object = {}, name = `s${streams++}`) => {
      await manager.streams.add({ name, subjects: [`${name}.>`], ...more });
      return name;
    };
    const settings = (more: JsonObject): JsonObject => ({
      servers: [`127.0.0.1:${server.port}`],
      user: 'bridge',
      password: 'bridge',
      ...more,
    });
    const put = async (name: string, ...texts: string[]) => {
      for (const one of texts) await jetstream(connection).publish(`${name}.in`, one);
    };
    const source = (name: string, reports: AiosError[] = []) =>
      openSource(natsProtocol, settings({ stream: name }), {
        name: 'in',
        events: { type: "'t'" },
        reports,
      });
    const data = ({ events }: Following) => events.map((one) => one.data);
    const batch = (from: number, to: number) => Array.from({ length: to - from }, (_, n) => logged(from + n));
    const stored = async (name: string) => {
      const { state } = await manager.streams.info(name);
      const found: string[] = [];
      for (let seq = state.first_seq; seq <= state.last_seq; seq++) {
        const message = await manager.streams.getMessage(name, { seq });
        if (message) found.push(message.json<CloudEvent>().id);
      }
      return found;
    };

    it('goes on by itself where its consumer was deleted', async () => {
      const name = await stream();
      const following = follow(source(name));
      await put(name, 'a');
      await expect.poll(() => data(following), WAIT).toEqual(['a']);
      for await (const one of manager.consumers.list(name)) await manager.consumers.delete(name, one.name);
      await put(name, 'b');
      await expect.poll(() => data(following), WAIT).toEqual(['a', 'b']);
      await following.stop();
    }, 60_000);

    it('takes a message alone that is larger than what may be held at once', async () => {
      const name = await stream();
      const texts = ['a', 'x'.repeat(5_000), 'b', 'c', 'y'.repeat(600), 'z'.repeat(600)];
      await put(name, ...texts);
      const context = contextOf(natsProtocol, { events: { type: "'t'" } });
      const limits = { ...context.limits, bridgeReadBytesMax: 1_000 };
      const ending = new AbortController();
      const taken: unknown[][] = [];
      const counts: number[] = [];
      const reading = natsSource({ ...context, limits }, settings({ stream: name }) as never);
      for await (const { events } of reading.read(undefined, ending.signal)) {
        taken.push(events.map((one) => one.data));
        for await (const { delivered } of manager.consumers.list(name)) counts.push(delivered.consumer_seq);
        if (taken.flat().length === texts.length) break;
      }
      ending.abort();
      expect(taken.flat()).toEqual(texts);
      expect(taken.map((one) => one.length)).toEqual([1, 1, 3, 1]);
      expect(counts).toEqual([1, 2, 5, 6]); // the server has sent nothing ahead of it
    }, 60_000);

    it('puts a message aside whose headers cannot be read, and takes one whose headers look like a status', async () => {
      const name = await stream();
      const headers = [
        'NATS/1.0\r\nMy Header: 1', // no name of a header: a space
        'NATS/1.0\r\nGröße: 1',
        'NATS/1.0 409 Message Size Exceeds MaxBytes',
        'NATS/1.0 503',
        'NATS/1.0\r\nce-subject: caf%C3%A9\r\nOther: a\r\nOther: b',
      ];
      const socket = tcp(server.port, '127.0.0.1');
      const options = { user: 'test', pass: 'test', verbose: false, pedantic: false, headers: true };
      socket.write(`CONNECT ${JSON.stringify(options)}\r\n`);
      for (const [at, text] of headers.entries()) {
        const head = Buffer.byteLength(`${text}\r\n\r\n`);
        const body = `m${at}`;
        socket.write(`HPUB ${name}.in ${head} ${head + body.length}\r\n${text}\r\n\r\n${body}\r\n`);
      }
      await expect.poll(async () => (await manager.streams.info(name)).state.messages, WAIT).toBe(5);
      socket.destroy();
      const following = follow(source(name));
      await expect.poll(() => following.rejected, WAIT).toEqual(Array(2).fill('bridges.message_invalid'));
      await expect.poll(() => data(following), WAIT).toEqual(['m2', 'm3', 'm4']);
      expect(following.faults).toEqual([]);
      await following.stop();
    }, 60_000);

    it.each([true, false])(
      'reads a stream that was deleted and made again, at once: %s',
      async (isAtOnce) => {
        const name = await stream();
        const reports: AiosError[] = [];
        const following = follow(source(name, reports));
        await put(name, 'a', 'b');
        await expect.poll(() => data(following), WAIT).toEqual(['a', 'b']);
        await manager.streams.delete(name);
        if (!isAtOnce) await expect.poll(() => following.faults, WAIT).toEqual(['bridges.refused']);
        await stream({}, name);
        await put(name, 'c');
        await expect.poll(() => data(following), WAIT).toEqual(['a', 'b', 'c']);
        expect(reports).toMatchObject([{ code: 'bridges.gap' }]);
        await following.stop();
      },
      60_000,
    );

    it('goes on with a stream that was emptied', async () => {
      const name = await stream();
      const following = follow(source(name));
      await put(name, 'a');
      await expect.poll(() => data(following), WAIT).toEqual(['a']);
      await manager.streams.purge(name);
      await put(name, 'b');
      await expect.poll(() => data(following), WAIT).toEqual(['a', 'b']);
      expect(following.faults).toEqual([]);
      await following.stop();
    }, 60_000);

    it('reads a stream from its beginning that was set back to an older state, and tells of it', async () => {
      const name = await stream();
      await put(name, 'a', 'b');
      const { created } = await manager.streams.info(name);
      const reports: AiosError[] = [];
      const following = follow(source(name, reports), { created, sequence: 5 });
      await expect.poll(() => data(following), WAIT).toEqual(['a', 'b']);
      await put(name, 'c');
      await expect.poll(() => data(following), WAIT).toEqual(['a', 'b', 'c']);
      expect(reports).toMatchObject([{ code: 'bridges.gap' }]);
      // With the time: what comes under this number in another state has another id.
      expect(following.events[0]!.id).toMatch(/:1:\d{19}$/);
      await following.stop();
    }, 60_000);

    it('begins in another stream where its definition says, and tells of no loss', async () => {
      const [before, name] = [await stream(), await stream()];
      const { created } = await manager.streams.info(before);
      await put(name, 'a', 'b');
      const reports: AiosError[] = [];
      const more = { reports, start: 'latest', events: { type: "'t'" } } as const;
      const moved = openSource(natsProtocol, settings({ stream: name }), more);
      const following = follow(moved, { stream: before, created, sequence: 1 });
      const consumers = async () => (await manager.consumers.list(name).next()).length;
      await expect.poll(consumers, WAIT).toBe(1);
      await put(name, 'c');
      await expect.poll(() => data(following), WAIT).toEqual(['c']);
      expect([reports, following.faults]).toEqual([[], []]);
      await following.stop();
    }, 60_000);

    it('takes the next server where one has no address, or may not be reached, and tells why where all are so', async () => {
      const fault = (host: string) =>
        new AiosError(host === 'guarded.test' ? 'connectors.egress_refused' : 'connectors.unreachable');
      const addresses = async (host: string) => {
        if (host.endsWith('.test')) throw fault(host);
        return [{ address: host, family: 4 }];
      };
      const context = { egress: { addresses, folders: [] }, clock: systemClock };
      const connectTo = (...servers: string[]) =>
        connectNats({ servers, user: 'bridge', password: 'bridge' }, context);
      const there = `127.0.0.1:${server.port}`;
      for (const first of ['gone.test', 'guarded.test']) await (await connectTo(first, there)).close();
      await expect(connectTo('gone.test')).rejects.toMatchObject({ code: 'bridges.unreachable' });
      const refused = { code: 'connectors.egress_refused' };
      await expect(connectTo('gone.test', 'guarded.test')).rejects.toMatchObject(refused);
    }, 60_000);

    it('reads on where its password is taken, and given back', async () => {
      const name = await stream();
      const following = follow(source(name));
      await put(name, 'a');
      await expect.poll(() => data(following), WAIT).toEqual(['a']);
      await allow(OTHER_PASSWORD);
      await expect.poll(() => following.faults, WAIT).toContain('bridges.refused');
      await put(name, 'b');
      await allow(ALL);
      await expect.poll(() => data(following), WAIT).toEqual(['a', 'b']);
      await following.stop();
    }, 60_000);

    it('sends what is left where its stream or its rights go, and come back', async () => {
      const name = await stream();
      const sink = openSink(natsProtocol, settings({ subject: `${name}.out` }), { name: 'out' });
      expect(await told(sink, batch(0, 2))).toEqual([]);
      await manager.streams.delete(name);
      expect(await told(sink, batch(2, 3))).toBe('bridges.refused');
      await stream({}, name);
      expect(await told(sink, batch(2, 3))).toEqual([]);
      for (const [rights, from] of [
        [WITHOUT_OUT, 3],
        [OTHER_PASSWORD, 4],
      ] as const) {
        await allow(rights);
        const next = batch(from, from + 1);
        await expect.poll(() => told(sink, next), WAIT).toBe('bridges.refused');
        expect(await told(sink, next)).toBe('bridges.refused');
        await allow(ALL);
        await expect.poll(() => told(sink, next), WAIT).toEqual([]);
      }
      expect(await stored(name)).toEqual(['e2', 'e3', 'e4']);
      await sink.close?.();
    }, 60_000);

    it('waits where a stream takes no more, and puts aside what is too large with its headers', async () => {
      const full = await stream({ max_msgs: 2, discard: 'new' });
      const waiting = openSink(natsProtocol, settings({ subject: `${full}.out` }), { name: 'full' });
      expect(await told(waiting, batch(0, 4))).toBe('bridges.refused');
      expect(await told(waiting, batch(0, 4))).toBe('bridges.refused');
      expect(await stored(full)).toEqual(['e0', 'e1']);
      await manager.streams.purge(full);
      expect(await told(waiting, batch(0, 4))).toEqual([]);
      expect(await stored(full)).toEqual(['e2', 'e3']);
      await waiting.close?.();
      const name = await stream();
      const more = { name: 'large', format: 'binary' } as const;
      const sink = openSink(natsProtocol, settings({ subject: `${name}.out` }), more);
      const large = event('e1', { subject: 'ä'.repeat(400_000) });
      expect(await told(sink, [logged(0), logged(1, large), logged(2)])).toEqual([1]);
      await sink.close?.();
    }, 60_000);
  },
);
