import { createHash } from 'node:crypto';
import type { AiosClient } from '../../src/client/client.ts';
import type { ManualClock } from '../../src/kernel/clock.ts';
import { seededRandom } from './simulator.ts';

interface Waiting {
  id: string;
  answerAtMs: number;
  /** Draws for this case alone, in the order of its questions. */
  random: () => number;
}

interface Shown {
  context: { returnId: string; bought?: number; stillHeld?: number; quantity?: number };
  contextDigest: string;
  createdAt: string;
}

const HOUR_MS = 3_600_000;
// One in a hundred is forgotten, so that deadlines and their safe outcome are exercised too.
const FORGOTTEN = 0.01;

/**
 * Simulated people for a replay: they answer through the API as a reviewer would, one to fifty hours of event time after a task was opened, by a stated
 * rule. Chance is drawn from the seed and the return, so that the answer to a case does not depend on the order in which tasks come up. Their answers are
 * invented; the report says so.
 */
export class SimulatedReviewers {
  readonly #client: Pick<AiosClient, 'request'>;
  readonly #clock: ManualClock;
  readonly #seed: number;
  /** A task is told of again, still open, when it climbs its ladder. */
  readonly #seen = new Set<string>();
  #waiting: Waiting[] = [];
  /** Tasks being looked at for the first time, and answers under way. */
  #busy: Promise<unknown> = Promise.resolve();
  answered = 0;
  forgotten = 0;

  constructor(client: Pick<AiosClient, 'request'>, clock: ManualClock, seed: number) {
    this.#client = client;
    this.#clock = clock;
    this.#seed = seed;
  }

  opened(id: string): void {
    if (this.#seen.has(id)) return;
    this.#seen.add(id);
    const looked = this.#look(id);
    this.#busy = Promise.all([this.#busy, looked]);
    this.#busy.catch(() => {}); // told by `answerDue`
  }

  /** Answers what is due at this event time; resolves when all of it is answered. */
  async answerDue(): Promise<void> {
    await this.#busy;
    const now = this.#clock.now();
    const due = this.#waiting.filter(({ answerAtMs }) => answerAtMs <= now);
    this.#waiting = this.#waiting.filter(({ answerAtMs }) => answerAtMs > now);
    const answers = Promise.all(due.map((waiting) => this.#answer(waiting)));
    this.#busy = Promise.all([this.#busy, answers]);
    await this.#busy;
  }

  async #look(id: string): Promise<void> {
    const { context, createdAt } = await this.#client.request<Shown>('GET', `/api/v1/tasks/${id}`, {});
    const random = seededRandom(seedOf(this.#seed, context.returnId));
    if (random() < FORGOTTEN) this.forgotten++;
    else {
      const answerAtMs = Date.parse(createdAt) + (1 + random() * 49) * HOUR_MS;
      this.#waiting.push({ id, answerAtMs, random });
    }
  }

  async #answer({ id, random }: Waiting): Promise<void> {
    const { context, contextDigest } = await this.#client.request<Shown>(
      'POST',
      `/api/v1/tasks/${id}/claim`,
      { body: {} },
    );
    const explained = (context.bought ?? 0) > 0 && (context.quantity ?? 0) <= (context.stillHeld ?? 0);
    const outcome = random() < 0.8 && explained ? 'refund' : 'refuse';
    const result = {
      outcome,
      reason: `Simulated answer: the records ${explained ? 'explain' : 'do not explain'} the request.`,
    };
    await this.#client.request('POST', `/api/v1/tasks/${id}/complete`, {
      body: { result, contextDigest, minutes: 2 + Math.floor(random() * 6) },
    });
    this.answered++;
  }
}

/** 32 bits of SHA-256 over the seed and the key of a case. */
function seedOf(seed: number, key: string): number {
  return createHash('sha256').update(`${seed} ${key}`).digest().readUInt32BE();
}
