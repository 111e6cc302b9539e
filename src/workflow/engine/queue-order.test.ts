import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ManualClock } from '../../kernel/clock.ts';
import { compileRunQueue, type RunQueue } from '../language/run-queue.ts';
import { MemoryQueues } from './memory-queues.ts';
import { choose, type Line } from './queue-order.ts';
import type { QueuedRun } from './queue-store.ts';
import type { ClaimedRun, RunStatus } from './stored-run.ts';

/** A queue without runs behind it: what is admitted is written down with its time. */
class Bench {
  readonly clock = new ManualClock(0);
  readonly statuses = new Map<string, RunStatus>();
  readonly admitted: { runId: string; line: string; atMs: number }[] = [];
  readonly lines = new Map<string, string>();
  readonly queues = new MemoryQueues({
    status: (id) => this.statuses.get(id),
    claim: (_worker, ids) => {
      for (const id of ids) this.statuses.set(id, 'running');
      return ids.map((id) => ({ id }) as ClaimedRun);
    },
  });
  readonly #queue: RunQueue;

  constructor(queue: RunQueue) {
    this.#queue = queue;
  }

  async enqueue(runId: string, line: string, priority = 50): Promise<void> {
    const nowMs = this.clock.now();
    const rank = nowMs - (priority / 100) * this.#queue.ageingMs;
    this.statuses.set(runId, 'pending');
    this.lines.set(runId, line);
    const run: QueuedRun = { runId, name: 'q', line, rank, enqueuedAtMs: nowMs };
    await apply(this.queues.enqueue(run));
  }

  async admit(room: number): Promise<void> {
    const atMs = this.clock.now();
    const { runs } = await this.queues.admit({ worker: 'w', queue: this.#queue, room, nowMs: atMs });
    for (const { id } of runs) this.admitted.push({ runId: id, line: this.lines.get(id)!, atMs });
  }

  async end(runId: string): Promise<void> {
    this.statuses.set(runId, 'completed');
    await apply(this.queues.leave(runId, 'q'));
  }

  running(): string[] {
    return [...this.statuses].flatMap(([id, status]) => (status === 'running' ? [id] : []));
  }
}

async function apply(write: ReturnType<MemoryQueues['enqueue']>): Promise<void> {
  await write.lane.write({ query: async () => [] }, [write.item]);
}

const action = fc.oneof(
  fc.record({
    do: fc.constant('enqueue' as const),
    line: fc.constantFrom('a', 'b', 'c'),
    priority: fc.nat(100),
  }),
  fc.record({ do: fc.constant('admit' as const), room: fc.integer({ min: 1, max: 6 }) }),
  fc.record({ do: fc.constant('end' as const), which: fc.nat(20) }),
  fc.record({ do: fc.constant('wait' as const), ms: fc.integer({ min: 1, max: 700 }) }),
);

describe('the order of a queue', () => {
  it('never exceeds concurrency, the bound of a key, nor the rate in any window, whatever comes and goes', async () => {
    const bounds = { concurrency: 4, perKey: 2, rate: { limit: 5, period: { milliseconds: 1000 } } };
    await fc.assert(
      fc.asyncProperty(fc.array(action, { maxLength: 120 }), async (actions) => {
        const bench = new Bench(compileRunQueue({ name: 'q', ...bounds }));
        for (const [index, each] of actions.entries()) {
          if (each.do === 'enqueue') await bench.enqueue(`r${index}`, each.line, each.priority);
          if (each.do === 'admit') await bench.admit(each.room);
          if (each.do === 'wait') bench.clock.advanceBy(each.ms);
          const running = bench.running();
          if (each.do === 'end' && running.length > 0) await bench.end(running[each.which % running.length]!);
          const now = bench.running();
          expect(now.length).toBeLessThanOrEqual(4);
          for (const line of ['a', 'b', 'c'])
            expect(now.filter((id) => bench.lines.get(id) === line).length).toBeLessThanOrEqual(2);
        }
        for (const { atMs } of bench.admitted) {
          const within = bench.admitted.filter((each) => each.atMs >= atMs && each.atMs < atMs + 1_000);
          expect(within.length).toBeLessThanOrEqual(5);
        }
      }),
    );
  });

  it('is fair: between two lines that both wait, neither gets two turns more than its weight', async () => {
    const weights = { a: 1, b: 2, c: 1 };
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.constantFrom('a', 'b', 'c'), { minLength: 1, maxLength: 80 }),
        fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 1, maxLength: 40 }),
        async (comes, rooms) => {
          const bench = new Bench(compileRunQueue({ name: 'q', weights }));
          for (const [index, line] of comes.entries()) await bench.enqueue(`r${index}`, line);
          const left = new Map(
            ['a', 'b', 'c'].map((line) => [line, comes.filter((each) => each === line).length]),
          );
          for (const room of rooms) await bench.admit(room);
          const turns = new Map([...left.keys()].map((line) => [line, 0]));
          for (const { line } of bench.admitted) {
            turns.set(line, turns.get(line)! + 1 / weights[line as 'a']);
            left.set(line, left.get(line)! - 1);
            const waiting = [...left].flatMap(([each, count]) => (count > 0 ? [turns.get(each)!] : []));
            if (waiting.length > 1)
              expect(Math.max(...waiting) - Math.min(...waiting)).toBeLessThanOrEqual(1);
          }
        },
      ),
    );
  });

  it('does not let a line that sends one run at a time go before one that has many waiting', async () => {
    const bench = new Bench(compileRunQueue({ name: 'q', fairness: 'key', concurrency: 1 }));
    for (let i = 0; i < 20; i++) await bench.enqueue(`many${i}`, 'many');
    await bench.enqueue('one0', 'one');
    for (let i = 1; i <= 20; i++) {
      await bench.admit(1);
      const last = bench.admitted.at(-1)!;
      bench.clock.advanceBy(1);
      if (last.line === 'one') await bench.enqueue(`one${i}`, 'one');
      await bench.end(last.runId);
    }
    expect(bench.admitted.filter(({ line }) => line === 'one')).toHaveLength(10);
  });

  it('stops where the next run of a line is not known', () => {
    const heads = (...ids: string[]) => ids.map((runId, rank) => ({ runId, rank }));
    const line = { turn: 0, weight: 1, room: 9 };
    const lines: Line[] = [
      { ...line, line: 'a', heads: heads('a0'), more: true },
      { ...line, line: 'b', heads: heads('b0', 'b1', 'b2'), more: false },
    ];
    expect(choose(lines, 9)).toMatchObject({ runIds: ['a0', 'b0'], incomplete: true, turn: 0 });
  });
});
