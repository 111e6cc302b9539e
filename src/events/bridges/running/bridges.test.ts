import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { CloudEvent } from '../../../kernel/cloudevent.ts';
import { event } from '../../event-under-test.ts';
import { BridgesUnderTest, broker, message, readers, sent, topics, until } from './bridges-under-test.ts';

describe('bridges', () => {
  let test: BridgesUnderTest;
  beforeAll(async () => {
    test = await BridgesUnderTest.create();
  });
  afterAll(() => test.close());
  const by = { kind: 'key', id: 'key_1' };

  it('bring messages as events, by expressions where they are none, and put aside what cannot be one', async () => {
    await test.define('in', {
      from: { memory: { topic: 'a' } },
      events: { type: 'value.kind', partitionkey: "'a'", subject: 'headers.who', data: 'value.body' },
    });
    topics.set('a', [
      message('m1', { kind: 'order.placed', body: { n: 1 } }, { who: 'x' }),
      message('m2', 'no json', { who: 'x' }),
      message('m3', { kind: 'unfit', body: {} }, { who: 'x' }),
      message('m4', { kind: 'apart', body: {} }, { who: 'x' }),
      message('m5', 'text', {
        ce_specversion: '1.0',
        ce_id: 'own',
        ce_source: 'urn:s',
        ce_type: 't',
        ce_partitionkey: 'a',
      }),
    ]);
    const { bridges, consumers } = await test.process();
    await until(async () => expect((await bridges.get('in')).position).toEqual({ next: 5 }));
    expect(await test.logged('a')).toMatchObject([
      { id: 'm1', source: 'urn:aios:bridge:in', type: 'order.placed', subject: 'x', data: { n: 1 } },
    ]);
    expect(await bridges.get('in')).toMatchObject({
      passed: 1,
      rejected: 4,
      state: 'running',
      direction: 'source',
    });
    expect(test.apart).toEqual(['m4']);
    const { items } = await consumers.deadLetters.list({ group: 'bridge:in', limit: 10 });
    expect(items.map(({ event: { id }, problem: { code } }) => `${id} ${code}`).sort()).toEqual([
      'm2 expression.failed',
      'm3 contracts.data_invalid',
      'm5 request.malformed',
    ]);
    // The letter of what was no event is the message, which the definition as it is then may read.
    await test.define('in', {
      from: { memory: { topic: 'a' } },
      events: { type: "'late'", partitionkey: "'a2'" },
    });
    await consumers.deadLetters.replay(items.find(({ event: { id } }) => id === 'm2')!.id);
    expect(await test.logged('a2')).toMatchObject([{ id: 'm2', type: 'late', data: 'no json' }]);
  });

  it('run each source in one process, and another goes on when it ends', async () => {
    const bodies = (from: number, to: number) =>
      Array.from({ length: to - from }, (_, n) =>
        message(`b${from + n}`, event(`b${from + n}`, { source: 'urn:b', partitionkey: 'b' })),
      );
    topics.set('b', bodies(0, 50));
    await test.define('shared', { from: { memory: { topic: 'b' } } });
    while (test.open.length < 2) await test.process();
    await until(async () => expect(await test.logged('b')).toHaveLength(50));
    topics.get('b')!.push(...bodies(50, 60));
    for (const one of test.open.splice(0, 1)) {
      await one.bridges.stop();
      await one.consumers.stop();
    }
    topics.get('b')!.push(...bodies(60, 100));
    await until(async () => expect(await test.logged('b')).toHaveLength(100));
    expect((await test.logged('b')).map(({ id }) => id)).toEqual(bodies(0, 100).map(({ id }) => id));
    expect(readers.get('b')).toEqual({ now: 1, most: 1 });
  });

  it('put aside a value whose schema the registry does not have, and read it when it has', async () => {
    const { bridges, consumers } = test.open[0]!;
    const value = Buffer.concat([Buffer.from([0, 0, 0, 0, 7]), Buffer.from([2])]);
    topics.set('v', [{ ...message('v0', ''), value, key: 'v' }]);
    const events = { type: "'counted'", data: '{"count": value}' };
    await test.define('values', { from: { memory: { topic: 'v', schemas: {} } }, events });
    await until(async () => expect(await bridges.get('values')).toMatchObject({ rejected: 1 }));
    const letters = async () =>
      (await consumers.deadLetters.list({ group: 'bridge:values', limit: 10 })).items;
    const [letter] = await letters();
    expect(letter).toMatchObject({ event: { id: 'v0', data: { base64: value.toString('base64') } } });
    await expect(consumers.deadLetters.replay(letter!.id)).rejects.toMatchObject({
      code: 'bridges.value_invalid',
    });
    test.schemas.push({ id: 7, type: 'AVRO', schema: 'int' });
    await consumers.deadLetters.replay(letter!.id);
    expect(await test.logged('v')).toMatchObject([{ id: 'v0', type: 'counted', data: { count: 1 } }]);
    expect(await letters()).toMatchObject([{ status: 'replayed' }]);
  });

  it('are opened anew and go on from another place, on record; what the log has is not taken twice', async () => {
    const { bridges } = test.open[0]!;
    const one = (n: number) => message(`r${n}`, event(`r${n}`, { source: 'urn:r', partitionkey: 'r' }));
    topics.set('r', [one(0), one(1)]);
    await test.define('moving', { from: { memory: { topic: 'r' } } });
    await until(async () => expect((await bridges.get('moving')).position).toEqual({ next: 2 }));
    const before = broker.opened;
    await bridges.restart('moving', by);
    await until(async () => expect(broker.opened).toBeGreaterThan(before));
    await bridges.move('moving', { next: 1 }, by);
    await until(async () => expect((await bridges.get('moving')).passed).toBe(3));
    await bridges.move('moving', null, by);
    await until(async () => expect((await bridges.get('moving')).passed).toBe(5));
    expect((await bridges.get('moving')).position).toEqual({ next: 2 });
    expect(await test.logged('r')).toHaveLength(2);
    expect(test.records.splice(0)).toEqual([
      { action: 'restarted', name: 'moving', by },
      { action: 'moved', name: 'moving', by, from: { next: 2 }, to: { next: 1 } },
      { action: 'moved', name: 'moving', by, from: { next: 2 }, to: null },
    ]);
    await expect(bridges.move('moving', { last: 1 }, by)).rejects.toMatchObject({ code: 'request.invalid' });
  });

  it('pause and go on where they were, on record, and follow a new version', async () => {
    const { bridges } = test.open[0]!;
    const one = (n: number) => message(`c${n}`, event(`c${n}`, { source: 'urn:c', partitionkey: 'c' }));
    topics.set('c', [one(0)]);
    await test.define('pausing', { from: { memory: { topic: 'c' } } });
    await until(async () => expect(await test.logged('c')).toHaveLength(1));
    expect((await bridges.pause('pausing', by)).state).toBe('paused');
    await bridges.pause('pausing', by);
    topics.get('c')!.push(one(1));
    expect(await test.logged('c')).toHaveLength(1);
    expect((await bridges.resume('pausing', by)).state).not.toBe('paused');
    await until(async () => expect(await test.logged('c')).toHaveLength(2));
    expect(test.records).toEqual([
      { action: 'paused', name: 'pausing', by },
      { action: 'resumed', name: 'pausing', by },
    ]);
    await test.define('pausing', { from: { memory: { topic: 'c' } }, paused: true });
    expect((await bridges.get('pausing')).state).toBe('paused');
    await expect(bridges.resume('pausing', by)).rejects.toMatchObject({
      code: 'bridges.paused_by_definition',
    });
    await expect(bridges.pause('nothing', by)).rejects.toMatchObject({ code: 'bridges.unknown' });
    await test.define('pausing', { from: { memory: { topic: 'c2' } }, paused: false });
    topics.set('c2', [
      message('x', {}),
      message('y', {}),
      message('z', event('z', { source: 'urn:c', partitionkey: 'c' })),
    ]);
    await until(async () => expect(await test.logged('c')).toHaveLength(3));
    expect([readers.get('c')!.now, readers.get('c2')!.now]).toEqual([0, 1]);
  });

  it('begin anew where their place is one of another protocol, which they had before', async () => {
    topics.set('p', [message('p0', event('p0', { source: 'urn:p', partitionkey: 'p' }))]);
    const place = { topic: 'p', topicId: 'x', offsets: { 0: 7 } };
    await test.database.db.query("insert into bridges (name, position) values ('changed', $1)", [
      JSON.stringify(place),
    ]);
    await test.define('changed', { from: { memory: { topic: 'p' } } });
    await until(async () => expect(await test.logged('p')).toHaveLength(1));
    expect((await test.open[0]!.bridges.get('changed')).position).toEqual({ next: 1 });
  });

  it('say what is wrong, without the secrets, until it is well again', async () => {
    const { bridges } = test.open[0]!;
    await test.define('failing', { from: { memory: { topic: 'd', secret: '${secrets.S}' } } });
    await until(async () => expect((await bridges.get('failing')).state).toBe('running'));
    broker.isAway = true;
    await until(async () =>
      expect((await bridges.get('failing')).problem).toMatchObject({ detail: 'no ***' }),
    );
    expect((await bridges.get('failing')).state).toBe('failing');
    // It was tried several times by then, and is logged once.
    const tries = broker.opened;
    await until(() => expect(broker.opened).toBeGreaterThan(tries + 3));
    expect(test.faults.filter((fault) => fault === 'failing: no ***')).toHaveLength(1);
    broker.isAway = false;
    await until(async () => expect((await bridges.get('failing')).state).toBe('running'));
  });

  it('stand where the other side has a place ahead of the log, until they are to forget it', async () => {
    const { bridges } = test.open[0]!;
    test.records.splice(0);
    await test.define('restored', { to: { memory: { topic: 'ahead' } }, types: ['ahead'], start: 'latest' });
    await until(async () => expect((await bridges.get('restored')).state).toBe('running'));
    await test.log.append([event('a1', { type: 'ahead' }), event('a2', { type: 'ahead' })]);
    await until(async () =>
      expect((await bridges.get('restored')).problem).toMatchObject({
        code: 'bridges.place_ahead',
        detail: expect.stringContaining('1000000'),
      }),
    );
    const arrived = () => new Set(sent.filter(({ topic }) => topic === 'ahead').map(({ id }) => id));
    expect(arrived().size).toBe(0);
    const { position } = await bridges.get('restored');
    await bridges.move('restored', null, by);
    await until(() => expect(arrived()).toEqual(new Set(['a1', 'a2'])));
    await until(async () => expect((await bridges.get('restored')).state).toBe('running'));
    const { position: fresh } = await bridges.get('restored');
    expect(fresh).toEqual({ space: expect.any(String) });
    // The place that it left can be taken over again, and any other one that is there.
    await bridges.move('restored', position, by);
    await test.log.append([event('a3', { type: 'ahead' })]);
    await until(async () =>
      expect((await bridges.get('restored')).problem).toMatchObject({ code: 'bridges.place_ahead' }),
    );
    expect(test.records.splice(0)).toEqual([
      { action: 'reset', name: 'restored', by, from: position, to: fresh },
      { action: 'moved', name: 'restored', by, from: fresh, to: position },
    ]);
    for (const wrong of [{ space: 'mine' }, { next: 1 }])
      await expect(bridges.move('restored', wrong, by)).rejects.toMatchObject({ code: 'request.invalid' });
    await bridges.move('restored', fresh, by);
    await until(() => expect(arrived()).toEqual(new Set(['a1', 'a2', 'a3'])));
    test.records.splice(0);
  });

  it('tell of a broker that says nothing, and end without its answer', async () => {
    const { bridges } = test.open[0]!;
    await test.define('silent', { to: { memory: { topic: 'silent' } }, types: ['unheard'] });
    await until(async () => expect((await bridges.get('silent')).state).toBe('running'));
    broker.silence = 'until cut';
    await test.log.append([event('u1', { type: 'unheard' })]);
    await until(async () =>
      expect((await bridges.get('silent')).problem).toMatchObject({
        code: 'bridges.unreachable',
        detail: expect.stringContaining('none of 1 events'),
      }),
    );
    expect((await bridges.pause('silent', by)).state).toBe('paused');
    broker.silence = undefined;
    await bridges.resume('silent', by);
    const arrived = () => sent.filter(({ topic }) => topic === 'silent').map(({ id }) => id);
    await until(() => expect(arrived()).toEqual(['u1']));
    await until(async () => expect((await bridges.get('silent')).problem).toBeNull());
  });

  it('that do not come to their end hold up no other', async () => {
    const { bridges } = test.open[0]!;
    broker.silence = 'for good';
    await test.log.append([event('u2', { type: 'unheard' })]);
    await until(async () => expect((await bridges.get('silent')).state).toBe('failing'));
    await bridges.pause('silent', by);
    await bridges.resume('silent', by);
    await test.define('beside', { to: { memory: { topic: 'beside' } }, types: ['beside'] });
    await until(async () => expect((await bridges.get('beside')).state).toBe('running'));
    expect((await bridges.pause('beside', by)).state).toBe('paused');
    broker.silence = 'until cut';
    await test.cut('silent');
    broker.silence = undefined;
    await until(() => expect(sent.some(({ id }) => id === 'u2')).toBe(true));
    expect(sent.filter(({ id }) => id === 'u2')).toHaveLength(1);
    test.records.splice(0);
  });

  it('send what they are to send, later where the other side is away, and put aside only what it refuses', async () => {
    const { bridges, consumers } = test.open[0]!;
    await test.define('out', {
      to: { memory: { topic: 'e' } },
      types: ['wanted'],
      filter: 'data.n > 0.0',
      start: 'latest',
    });
    await until(async () => expect((await bridges.get('out')).state).toBe('running'));
    const wanted = (id: string, more: Partial<CloudEvent> = {}) =>
      event(id, { type: 'wanted', partitionkey: 'e', ...more });
    broker.isAway = true;
    await test.log.append([
      wanted('e1'),
      wanted('e2', { data: { n: 0 } }),
      event('e3'),
      wanted('e4', { subject: 'too large' }),
      wanted('e5'),
    ]);
    await until(async () => expect((await bridges.get('out')).state).toBe('failing'));
    expect((await consumers.deadLetters.list({ group: 'bridge:out', limit: 10 })).items).toEqual([]);
    broker.isAway = false;
    const arrived = () => new Set(sent.filter(({ topic }) => topic === 'e').map(({ id }) => id));
    await until(() => expect(arrived()).toEqual(new Set(['e1', 'e5'])));
    await until(async () =>
      expect(await bridges.get('out')).toMatchObject({
        direction: 'sink',
        lag: 0,
        passed: 2,
        state: 'running',
      }),
    );
    const { items } = await consumers.deadLetters.list({ group: 'bridge:out', limit: 10 });
    expect(items.map(({ event: { id }, problem: { code } }) => [id, code])).toEqual([
      ['e4', 'bridges.message_refused'],
    ]);
  });
});
