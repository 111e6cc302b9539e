import type { AiosClient } from '../../src/client/client.ts';
import type { ManualClock } from '../../src/kernel/clock.ts';
import { seededRandom } from './simulator.ts';

interface Waiting {
  id: string;
  answerAtMs: number;
}

interface Shown {
  context: { bought?: number; stillHeld?: number; quantity?: number; why?: string };
  contextDigest: string;
}

const HOUR_MS = 3_600_000;
// One in a hundred is forgotten, so that deadlines and their safe outcome are exercised too.
const FORGOTTEN = 0.01;

/**
 * Simulated people for a replay: they answer through the API as a reviewer would, one to fifty hours of event time after a task was opened, by a stated
 * rule and a seed. Their answers are invented; the report says so.
 */
export class SimulatedReviewers {
  readonly #client: AiosClient;
  readonly #clock: ManualClock;
  readonly #random: () => number;
  #waiting: Waiting[] = [];
  #answering: Promise<void> = Promise.resolve();
  answered = 0;
  forgotten = 0;

  constructor(client: AiosClient, clock: ManualClock, seed: number) {
    this.#client = client;
    this.#clock = clock;
    this.#random = seededRandom(seed);
  }

  opened(id: string): void {
    if (this.#random() < FORGOTTEN) {
      this.forgotten++;
      return;
    }
    this.#waiting.push({ id, answerAtMs: this.#clock.now() + (1 + this.#random() * 49) * HOUR_MS });
  }

  /** Answers what is due at this event time; resolves when all of it is answered. */
  answerDue(): Promise<void> {
    const now = this.#clock.now();
    const due = this.#waiting.filter(({ answerAtMs }) => answerAtMs <= now);
    if (due.length > 0) {
      this.#waiting = this.#waiting.filter(({ answerAtMs }) => answerAtMs > now);
      this.#answering = this.#answering.then(
        async () => void (await Promise.all(due.map(({ id }) => this.#answer(id)))),
      );
    }
    return this.#answering;
  }

  async #answer(id: string): Promise<void> {
    const { context, contextDigest } = await this.#client.request<Shown>(
      'POST',
      `/api/v1/tasks/${id}/claim`,
      { body: {} },
    );
    const explained = (context.bought ?? 0) > 0 && (context.quantity ?? 0) <= (context.stillHeld ?? 0);
    const outcome = explained && this.#random() < 0.8 ? 'refund' : 'refuse';
    const result = {
      outcome,
      reason: `Simulated answer: the records ${explained ? 'explain' : 'do not explain'} the request.`,
    };
    await this.#client.request('POST', `/api/v1/tasks/${id}/complete`, {
      body: { result, contextDigest, minutes: 2 + Math.floor(this.#random() * 6) },
    });
    this.answered++;
  }
}
