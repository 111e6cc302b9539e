import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Tensor } from '../tensors/tensor.ts';
import { InferRequest, PRIORITY_LEVELS } from './request.ts';
import { PRIORITY_STEP_MS, RequestQueue } from './request-queue.ts';

const tensors = (rows: number, width = 2): Tensor[] => [
  { name: 'x', datatype: 'FP32', shape: [rows, width], data: new Float32Array(rows * width) },
];
const never = () => false;

interface Given {
  atMs?: number;
  priority?: number;
  rows?: number;
  width?: number;
  deadlineMs?: number;
}

function request({ atMs = 0, priority = 0, rows = 1, width = 2, deadlineMs = 1e9 }: Given): InferRequest {
  const made = new InferRequest(tensors(rows, width), rows, atMs, deadlineMs, undefined, priority);
  made.answer.catch(() => {});
  return made;
}

function queueOf(...requests: InferRequest[]): RequestQueue {
  const queue = new RequestQueue(never);
  for (const each of requests) queue.push(each);
  return queue;
}

describe('the queue of a model', () => {
  it('answers the higher priority first, and the order of coming within one', () => {
    const [low, first, high, second] = [
      request({ priority: 5, atMs: 0 }),
      request({ atMs: 1 }),
      request({ priority: 1, atMs: 2 }),
      request({ priority: 3, atMs: 3 }),
    ] as const;
    const queue = queueOf(low, first, high, second);
    const order = Array.from({ length: 4 }, () => queue.take(4, 1)[0]);
    expect(order).toEqual([high, first, second, low]);
  });

  it('lets waiting make up for a low priority: nothing that came later than its head start goes first', () => {
    const low = request({ priority: PRIORITY_LEVELS, atMs: 0 });
    const headStartMs = (PRIORITY_LEVELS - 1) * PRIORITY_STEP_MS;
    const [before, after] = [headStartMs - 1, headStartMs + 1].map((atMs) => request({ priority: 1, atMs }));
    const queue = queueOf(before!, after!, low);
    expect(Array.from({ length: 3 }, () => queue.take(headStartMs + 2, 1)[0])).toEqual([before, low, after]);
  });

  it('starves nothing, whatever keeps coming: each is taken before all that came its head start later', () => {
    const arrivals = fc.array(
      fc.record({ gapMs: fc.integer({ min: 0, max: 300 }), priority: fc.integer({ min: 0, max: 7 }) }),
      { minLength: 1, maxLength: 60 },
    );
    fc.assert(
      fc.property(arrivals, (given) => {
        let atMs = 0;
        const all = given.map(({ gapMs, priority }) => {
          atMs += gapMs;
          return request({ atMs, priority });
        });
        const queue = queueOf(...all);
        const rank = (each: InferRequest) => each.enqueuedAtMs + each.level * PRIORITY_STEP_MS;
        const order = all.map(() => queue.take(atMs, 1)[0] as InferRequest);
        for (let i = 1; i < order.length; i++)
          expect(rank(order[i - 1]!)).toBeLessThanOrEqual(rank(order[i]!));
        expect(new Set(order).size).toBe(all.length);
      }),
    );
  });

  it('fills a batch across priorities with requests of one shape, and never past its size', () => {
    const queue = queueOf(
      request({ priority: 5, rows: 2 }),
      request({ priority: 1, rows: 3 }),
      request({ priority: 3, rows: 3 }),
      request({ priority: 5, width: 3 }),
    );
    const sizes = Array.from({ length: 3 }, () => queue.take(0, 8).map(({ rows }) => rows));
    expect(sizes).toEqual([[3, 3, 2], [1], []]);
  });

  it('takes a request that is larger than a batch alone, and one at a time when batches are off', () => {
    const queue = queueOf(request({ rows: 9 }), request({}), request({}));
    expect(queue.take(0, 4)).toHaveLength(1);
    expect(queue.take(0, 1)).toHaveLength(1);
    expect(queue.take(0, 1)).toHaveLength(1);
  });

  it('runs what must be alone first and by itself', () => {
    const queue = queueOf(request({ priority: 1 }));
    const [a, b] = [request({}), request({})];
    queue.pushAlone(a);
    queue.pushAlone(b);
    expect([queue.take(0, 8), queue.take(0, 8)]).toEqual([[a], [b]]);
    expect(queue.take(0, 8)).toHaveLength(1);
  });

  it('never hands out what nobody waits for, and forgets it at a sweep', () => {
    const queue = new RequestQueue((each, nowMs) => {
      if (nowMs < each.deadlineAtMs) return false;
      each.settled = true;
      return true;
    });
    const wanted = request({ deadlineMs: 100, rows: 2 });
    for (const each of [request({ deadlineMs: 5 }), wanted, request({ deadlineMs: 6 })]) queue.push(each);
    queue.pushAlone(request({ deadlineMs: 7 }));
    expect([queue.count, queue.rows, queue.bytes]).toEqual([4, 5, 40]);
    queue.sweep(10);
    expect([queue.count, queue.rows, queue.bytes, queue.oldestAtMs()]).toEqual([1, 2, 16, 0]);
    queue.push(request({ deadlineMs: 15 }));
    expect(queue.take(20, 8)).toEqual([wanted]);
    expect([queue.count, queue.rows, queue.bytes]).toEqual([0, 0, 0]);
  });
});
