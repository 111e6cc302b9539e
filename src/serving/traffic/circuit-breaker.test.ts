import { afterEach, describe, expect, it } from 'vitest';
import { CircuitBreaker, type CircuitChange } from './circuit-breaker.ts';
import type { Serving } from './serving.ts';
import { servingUnderTest, sums } from './traffic-under-test.ts';

const OPTIONS = { errorRate: 0.5, callsMin: 4, windowMs: 1_000, openMs: 500, probes: 2 };
const refused = { code: 'serving.circuit_open' };

/** Outcomes, one each millisecond. */
function feed(
  breaker: CircuitBreaker,
  outcomes: readonly ('answered' | 'failed' | 'neither')[],
  atMs = 10_000,
  elapsedMs = 1,
) {
  for (const [i, outcome] of outcomes.entries())
    breaker.leave(breaker.enter(atMs + i), outcome, elapsedMs, atMs + i);
}

describe('a circuit breaker', () => {
  it('opens when more than its part of the calls fails, and says when to come back', () => {
    const breaker = new CircuitBreaker('risk/1', OPTIONS);
    feed(breaker, ['answered', 'answered', 'failed', 'failed']);
    expect(breaker.statistics()).toMatchObject({ state: 'closed' });
    feed(breaker, ['failed'], 10_004);
    expect(breaker.statistics()).toMatchObject({ state: 'open', opened: 1, refused: 0 });
    expect(() => breaker.enter(10_104)).toThrow(
      expect.objectContaining({ ...refused, extensions: { retryAfterMs: 400 } }),
    );
    expect(breaker.statistics().refused).toBe(1);
  });

  it('decides nothing by few calls, by calls of long ago, or by calls that tell nothing', () => {
    const breaker = new CircuitBreaker('risk/1', OPTIONS);
    feed(breaker, ['failed', 'failed', 'failed']);
    feed(breaker, ['failed', 'failed', 'failed'], 11_200);
    feed(breaker, Array(50).fill('neither'), 11_300);
    expect(breaker.statistics().state).toBe('closed');
    feed(breaker, ['failed'], 11_400);
    expect(breaker.statistics().state).toBe('open');
  });

  it('opens for slow calls', () => {
    const breaker = new CircuitBreaker('risk/1', { ...OPTIONS, errorRate: 1, slowMs: 50, slowRate: 0.25 });
    feed(breaker, Array(6).fill('answered'), 10_000, 50);
    feed(breaker, Array(2).fill('answered'), 10_010, 51);
    expect(breaker.statistics().state).toBe('closed');
    feed(breaker, ['answered'], 10_020, 51);
    expect(breaker.statistics().state).toBe('open');
  });

  it('lets a few calls try again, closes when all succeed, and opens anew when one fails', () => {
    const breaker = new CircuitBreaker('risk/1', OPTIONS);
    feed(breaker, Array(4).fill('failed'));
    const [first, second] = [breaker.enter(10_600), breaker.enter(10_600)];
    expect(() => breaker.enter(10_600)).toThrow(expect.objectContaining(refused));
    breaker.leave(first, 'answered', 1, 10_601);
    expect(breaker.statistics().state).toBe('half-open');
    // Not at once: how long the tries take is not known.
    expect(() => breaker.enter(10_601)).toThrow(
      expect.objectContaining({ ...refused, extensions: { retryAfterMs: 500 } }),
    );
    breaker.leave(second, 'failed', 1, 10_602);
    expect(breaker.statistics()).toMatchObject({ state: 'open', opened: 2 });
    feed(breaker, ['answered', 'answered'], 11_200);
    expect(breaker.statistics().state).toBe('closed');
    feed(breaker, ['failed'], 11_210);
    expect(breaker.statistics().state).toBe('closed');
  });

  it('tells when it opens and why, and when it has closed, not each try in between; the last time of both stays known', () => {
    const told: CircuitChange[] = [];
    const breaker = new CircuitBreaker('risk/1', OPTIONS, (change) => told.push(change));
    expect(breaker.statistics()).toMatchObject({ openedAt: null, openedBy: null, closedAt: null });
    feed(breaker, ['answered', 'failed', 'failed']);
    breaker.leave(breaker.enter(10_003), 'failed', 1, 10_003, 'serving.timeout');
    const why = '3 of 4 calls failed and 0 were slow within 1000 ms; the last by serving.timeout';
    const at = (ms: number) => new Date(performance.timeOrigin + ms).toISOString();
    const opening = { openedAt: at(10_003), openedBy: why };
    expect(breaker.statistics()).toMatchObject({ ...opening, closedAt: null });
    expect(() => breaker.enter(10_010)).toThrow();
    feed(breaker, ['failed'], 10_600);
    feed(breaker, ['answered', 'answered'], 13_000);
    expect(breaker.statistics()).toMatchObject({ ...opening, opened: 2, closedAt: at(13_001) });
    expect(told).toEqual([
      { label: 'risk/1', state: 'open', reason: why },
      { label: 'risk/1', state: 'closed', reason: 'open for 3 s, calls refused: 1' },
    ]);
  });

  it('gives the place of a try that told nothing to another, and heeds no call from before', () => {
    const breaker = new CircuitBreaker('risk/1', OPTIONS);
    const before = breaker.enter(10_000);
    feed(breaker, Array(4).fill('failed'));
    const [first] = [breaker.enter(10_600), breaker.enter(10_600)];
    breaker.leave(before, 'failed', 1, 10_601);
    expect(breaker.statistics().state).toBe('half-open');
    breaker.leave(first, 'neither', 1, 10_602);
    expect(breaker.enter(10_603)).toBe(first);
  });
});

describe('calls of a version with a circuit breaker', () => {
  const open: Serving[] = [];
  afterEach(() => {
    for (const serving of open.splice(0)) serving.close();
  });

  function broken(
    options: { timeoutMs?: number; openMs?: number },
    run: typeof sums | (() => Promise<never>),
  ) {
    const { openMs = 60_000, ...rest } = options;
    const made = servingUnderTest({
      'risk/1': { run: (tensors) => run(tensors), options: { ...rest, breaker: { ...OPTIONS, openMs } } },
    });
    open.push(made.serving);
    return made;
  }
  const call = { model: 'risk', features: { a: 2, b: 2 } };

  it('are refused at once when it is ill', async () => {
    const { serving, runs } = broken({}, () => Promise.reject(new Error('no memory')));
    for (let i = 0; i < 4; i++)
      await expect(serving.score(call)).rejects.toMatchObject({ code: 'serving.model_failed' });
    await expect(serving.score(call)).rejects.toMatchObject(refused);
    expect(runs['risk/1']).toBe(4);
    expect(serving.statistics()['risk/1']!.circuit).toMatchObject({ state: 'open', refused: 1 });
  });

  it('are answered again when it is well again', async () => {
    let isIll = true;
    const { serving } = broken({ openMs: 1 }, (tensors) => {
      if (isIll) throw new Error('no memory');
      return sums(tensors);
    });
    const circuit = () => serving.statistics()['risk/1']!.circuit;
    for (let i = 0; i < 4; i++) await serving.score(call).catch(() => {});
    expect(circuit()!.opened).toBe(1);
    isIll = false;
    await expect
      .poll(async () => {
        await serving.score(call).catch(() => {});
        return circuit()!.state;
      })
      .toBe('closed');
    expect((await serving.score(call)).outputs).toEqual({ total: 104 });
  });

  it('do not open it by bad input, or by deadlines of their own that are shorter than the model may take', async () => {
    const { serving } = broken({ timeoutMs: 5_000 }, () => new Promise<never>(() => {}));
    await serving.load('risk');
    for (let i = 0; i < 6; i++)
      await expect(serving.score({ ...call, features: { a: 'x' } })).rejects.toMatchObject({
        code: 'serving.feature_invalid',
      });
    const outcomes = await Promise.allSettled(
      Array.from({ length: 6 }, () => serving.score({ ...call, deadlineMs: 15 })),
    );
    for (const outcome of outcomes) expect(outcome).toMatchObject({ reason: { code: 'serving.timeout' } });
    expect(serving.statistics()['risk/1']!.circuit).toMatchObject({ state: 'closed' });
  });

  it('open it when the model itself runs out of its time', async () => {
    const { serving } = broken({ timeoutMs: 20 }, () => new Promise<never>(() => {}));
    await serving.load('risk');
    for (let i = 0; i < 4; i++)
      await expect(serving.score(call)).rejects.toMatchObject({ code: 'serving.timeout' });
    await expect(serving.score(call)).rejects.toMatchObject(refused);
  });
});
