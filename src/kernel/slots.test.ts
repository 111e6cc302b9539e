import { describe, expect, it } from 'vitest';
import { Slots } from './slots.ts';

const bounds = { concurrencyMax: 1, queueMax: 2 };
const forever = new AbortController().signal;

describe('slots', () => {
  it('are taken in the order of coming', async () => {
    const slots = new Slots();
    const release = await slots.take(bounds, 'training', forever);
    const order: string[] = [];
    const waiting = ['first', 'second'].map(async (name) => {
      const done = await slots.take(bounds, 'training', forever);
      order.push(name);
      done();
    });
    release();
    release(); // a second time it is nothing
    await Promise.all(waiting);
    expect(order).toEqual(['first', 'second']);
  });

  it('pass by who was canceled while it waited', async () => {
    const slots = new Slots();
    const release = await slots.take(bounds, 'training', forever);
    const canceling = new AbortController();
    const canceled = slots.take(bounds, 'training', canceling.signal);
    const next = slots.take(bounds, 'training', forever);
    canceling.abort(new Error('no longer wanted'));
    await expect(canceled).rejects.toThrow('no longer wanted');
    release();
    await expect(next).resolves.toBeTypeOf('function');
    expect(slots.queued).toBe(0);
  });

  it('refuse who comes when as many wait as may', async () => {
    const slots = new Slots();
    const release = await slots.take({ concurrencyMax: 1, queueMax: 0 }, 'gpt', forever);
    await expect(slots.take({ concurrencyMax: 1, queueMax: 0 }, 'gpt', forever)).rejects.toMatchObject({
      code: 'request.overloaded',
    });
    release();
  });
});
