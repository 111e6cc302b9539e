import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { EventConsumers } from '../../consumers.ts';
import { event } from '../../event-under-test.ts';
import { BridgesUnderTest, broker, message, sent, topics, until } from './bridges-under-test.ts';

describe('bridges at a message that does not fit', () => {
  let test: BridgesUnderTest;
  beforeAll(async () => {
    test = await BridgesUnderTest.create();
    await test.process();
  });
  afterAll(() => test.close());

  const letters = async (consumers: EventConsumers, group: string) => {
    const { items } = await consumers.deadLetters.list({ group, status: 'open', limit: 100 });
    return items.map(({ id, event: { id: of } }) => ({ id, of })).sort((a, b) => (a.of < b.of ? -1 : 1));
  };

  it('stand at the first one where they tolerate none, say so, and go on when it does', async () => {
    const { bridges, consumers } = test.open[0]!;
    const one = (n: number, type = 't') =>
      message(`s${n}`, event(`s${n}`, { source: 'urn:s', partitionkey: 's', type }));
    topics.set('s', [one(0), one(1, 'apart'), one(2), one(3, 'not yet'), one(4), one(5, 'not yet'), one(6)]);
    test.unfit.add('not yet');
    await test.define('strict', { from: { memory: { topic: 's' } }, errors: { tolerance: 'none' } });
    await until(async () => expect((await bridges.get('strict')).state).toBe('failing'));
    expect(await bridges.get('strict')).toMatchObject({
      ...{ position: { next: 3 }, passed: 2, rejected: 1 },
      problem: {
        code: 'bridges.stopped',
        cause: 'contracts.data_invalid',
        detail: expect.stringMatching(/s3/),
      },
    });
    expect((await test.logged('s')).map(({ id }) => id)).toEqual(['s0', 's2']);
    expect(test.apart).toContain('s1');
    expect(await letters(consumers, 'bridge:strict')).toEqual([]);
    test.unfit.delete('not yet');
    await until(async () =>
      expect(await bridges.get('strict')).toMatchObject({ position: { next: 7 }, state: 'running' }),
    );
    expect((await test.logged('s')).map(({ id }) => id)).toEqual(['s0', 's2', 's3', 's4', 's5', 's6']);
  });

  it('stand with as many open dead letters as they may have, and go on when those are dealt with', async () => {
    const { bridges, consumers } = test.open[0]!;
    topics.set('m', [
      ...Array.from({ length: 5 }, (_, n) => message(`x${n}`, 'no event')),
      message('m', event('m', { source: 'urn:m', partitionkey: 'm' })),
    ]);
    await test.define('bounded', { from: { memory: { topic: 'm' } }, errors: { deadLettersMax: 2 } });
    const standsAt = (next: number) =>
      until(async () =>
        expect(await bridges.get('bounded')).toMatchObject({
          ...{ position: { next }, state: 'failing' },
          problem: {
            code: 'bridges.dead_letters_full',
            limit: 2,
            detail: expect.stringContaining(`x${next}`),
          },
        }),
      );
    await standsAt(2);
    const aside = await letters(consumers, 'bridge:bounded');
    expect(aside.map(({ of }) => of)).toEqual(['x0', 'x1']);
    for (const { id } of aside) await consumers.deadLetters.dismiss(id);
    await standsAt(4);
    await test.define('bounded', { from: { memory: { topic: 'm' } } });
    await until(async () => expect(await test.logged('m')).toHaveLength(1));
    expect(await letters(consumers, 'bridge:bounded')).toHaveLength(3);
  });

  it('hand over nothing past an event that is refused where they tolerate none, or no more', async () => {
    const { bridges, consumers } = test.open[0]!;
    const one = (id: string, subject?: string) =>
      event(id, { type: 'held', partitionkey: 'one', ...(subject ? { subject } : {}) });
    await test.define('held', {
      ...{ to: { memory: { topic: 'h' } }, types: ['held'], start: 'latest' },
      errors: { tolerance: 'none' },
    });
    await test.define('some', {
      ...{ to: { memory: { topic: 'h2' } }, types: ['held'], start: 'latest' },
      errors: { deadLettersMax: 1 },
    });
    const isRunning = async (name: string) => expect((await bridges.get(name)).state).toBe('running');
    await until(() => Promise.all([isRunning('held'), isRunning('some')]));
    await test.log.append([one('h1'), one('h2', 'too large'), one('h3'), one('h4', 'too large'), one('h5')]);
    const arrived = (topic: string) => sent.filter((message) => message.topic === topic).map(({ id }) => id);
    await until(async () => {
      expect(await bridges.get('held')).toMatchObject({
        ...{ state: 'failing', passed: 1 },
        problem: { code: 'bridges.stopped', detail: expect.stringContaining('h2') },
      });
      expect(await bridges.get('some')).toMatchObject({
        ...{ state: 'failing', passed: 2 },
        problem: { code: 'bridges.dead_letters_full', detail: expect.stringContaining('h4') },
      });
    });
    expect([arrived('h'), arrived('h2')]).toEqual([['h1'], ['h1', 'h3']]);
    expect((await letters(consumers, 'bridge:some')).map(({ of }) => of)).toEqual(['h2']);
    broker.takesLarge = true;
    await until(() => expect([arrived('h').length, arrived('h2').length]).toEqual([5, 4]));
    broker.takesLarge = false;
    expect(arrived('h')).toEqual(['h1', 'h2', 'h3', 'h4', 'h5']);
    await until(() => Promise.all([isRunning('held'), isRunning('some')]));
  });
});
