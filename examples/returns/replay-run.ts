import { setTimeout as sleep } from 'node:timers/promises';
import type { App } from '../../src/app/app.ts';
import type { AiosClient } from '../../src/client/client.ts';
import type { ManualClock } from '../../src/kernel/clock.ts';
import type { CloudEvent } from '../../src/kernel/cloudevent.ts';
import type { JsonObject } from '../../src/kernel/json.ts';
import { Bookkeeping } from './irregular.ts';
import type { Retail } from './retail.ts';
import type { SimulatedReviewers } from './reviewer.ts';

const BATCH = 250;
/** Requests under way at once: more would measure a queue, not decisions. */
const UNDECIDED_MAX = 128;
const DAY_MS = 86_400_000;
const STEP_MS = DAY_MS / 4;

/** What became of a request. */
export interface Decided {
  irregular: string | undefined;
  /** Milliseconds from the post of its event to the committed decision, or to the task for a person. */
  latencyMs: number;
  asked: boolean;
  outcome: string | undefined;
  decidedBy: string | undefined;
}

interface Dependencies {
  app: App;
  client: AiosClient;
  clock: ManualClock;
  retail: Retail;
  reviewers: SimulatedReviewers;
  onProgress(text: string): void;
}

/** Puts the events of a file through the HTTP door in their order and follows every return request to its decision. */
export class Replay {
  readonly requests = new Map<string, Decided>();
  readonly #dependencies: Dependencies;
  readonly #bookkeeping = new Bookkeeping();
  readonly #postedAt = new Map<string, number>();
  #undecided = 0;
  #wake: (() => void) | undefined;
  events = 0;
  wallMs = 0;

  constructor(dependencies: Dependencies) {
    this.#dependencies = dependencies;
  }

  async run(): Promise<void> {
    const { app, retail, clock, reviewers } = this.#dependencies;
    app.stations.engine.onRunChanged(({ workflow, status, subject }) => {
      if (workflow === 'returns' && subject && status !== 'running')
        this.#decided(subject, status === 'waiting');
    });
    app.stations.tasks.onChanged(({ id, status }) => status === 'open' && reviewers.opened(id));
    app.stations.log.onCommitted((events) => {
      for (const { event } of events)
        if (event.type === 'return.decided') this.#told(event.data as JsonObject);
    });
    const startedAt = performance.now();
    let batch: CloudEvent[] = [];
    for await (const event of retail.events()) {
      const timeMs = Date.parse(event.time);
      if (batch.length >= BATCH || (batch[0] && timeMs - Date.parse(batch[0].time) > STEP_MS)) {
        await this.#post(batch);
        batch = [];
      }
      await this.#passTime(timeMs - STEP_MS);
      batch.push(event);
    }
    await this.#post(batch);
    await this.#until(0);
    this.wallMs = performance.now() - startedAt;
    // The last people answer, the last deadlines pass, the last refunds are paid.
    await this.#passTime(clock.now() + 5 * DAY_MS);
    while ([...this.requests.values()].some(({ outcome }) => outcome === undefined)) await sleep(50);
    await app.stations.consumers.idle();
  }

  /** Lets time go by in steps, so that over a holiday people answer before deadlines pass, as they would have. */
  async #passTime(untilMs: number): Promise<void> {
    const { clock, reviewers } = this.#dependencies;
    if (clock.now() === 0) clock.advanceTo(untilMs);
    // Nothing may still be on its way when days go by at once: its task would be opened with the deadline behind it.
    if (untilMs - clock.now() > STEP_MS) await this.#until(0);
    while (clock.now() < untilMs) {
      clock.advanceTo(Math.min(untilMs, clock.now() + STEP_MS));
      await reviewers.answerDue();
    }
  }

  async #post(batch: readonly CloudEvent[]): Promise<void> {
    if (batch.length === 0) return;
    const { client, clock, reviewers, retail, onProgress } = this.#dependencies;
    const postedAt = performance.now();
    for (const event of batch) {
      const irregular = this.#bookkeeping.take(event);
      if (event.type !== 'return.requested') continue;
      const { returnId } = event.data as { returnId: string };
      this.#postedAt.set(returnId, postedAt);
      this.requests.set(returnId, {
        irregular,
        latencyMs: Number.NaN,
        asked: false,
        outcome: undefined,
        decidedBy: undefined,
      });
      this.#undecided++;
    }
    const answer = await client.request<{ rejected: unknown[] }>('POST', '/api/v1/events', {
      body: batch as never,
      headers: { 'content-type': 'application/cloudevents-batch+json' },
    });
    if (answer.rejected.length > 0) throw new Error(`refused: ${JSON.stringify(answer.rejected[0])}`);
    this.events += batch.length;
    clock.advanceTo(Date.parse(batch.at(-1)!.time));
    await Promise.all([this.#until(UNDECIDED_MAX), reviewers.answerDue()]);
    onProgress(
      `${Math.round(retail.fraction() * 100)} %  ${batch.at(-1)!.time.slice(0, 10)}  ${this.events} events, ${this.requests.size} requests, ${reviewers.answered} answered by simulated people`,
    );
  }

  /** Waits until at most so many requests are undecided. */
  async #until(max: number): Promise<void> {
    while (this.#undecided > max)
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
  }

  #decided(returnId: string, asked: boolean): void {
    const request = this.requests.get(returnId);
    const postedAt = this.#postedAt.get(returnId);
    if (!request || postedAt === undefined) return;
    this.#postedAt.delete(returnId);
    request.latencyMs = performance.now() - postedAt;
    request.asked = asked;
    this.#undecided--;
    this.#wake?.();
  }

  #told({ returnId, outcome, decidedBy }: JsonObject): void {
    const request = this.requests.get(String(returnId));
    if (request) Object.assign(request, { outcome, decidedBy });
  }
}
