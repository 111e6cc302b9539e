import { setTimeout as sleep } from 'node:timers/promises';
import { returnRequest } from './requests.ts';

interface Options {
  /** How many send at the same time. */
  posters: number;
  /** Requests that are sent together. */
  batch: number;
  /** Between what was answered and what is sent next. */
  pauseMs: number;
  /** Where the requests from a number on go. */
  target(first: number): { url: string; contentType: string };
  /** Whether all of them are acknowledged. */
  isAcknowledged(response: Response): Promise<boolean>;
  key: string;
}

/** How long what is on its way may take to be acknowledged when the chaos is over: a server that was killed last is up again within some seconds. */
const STOP_MS = 60_000;

/** Send return requests as long as the chaos lasts; what gets no answer is sent again, as producers and clients do. */
export class Posters {
  /** Ids of the requests that were acknowledged: these count, whatever happens. */
  readonly accepted = new Set<string>();
  readonly #options: Options;
  readonly #posters: Promise<void>[];
  #next = 0;
  #ends = false;
  #isAbandoned = false;
  /** Why the last request that was not acknowledged was not. */
  #refusal = 'no request was sent';

  constructor(options: Options) {
    this.#options = options;
    this.#posters = Array.from({ length: options.posters }, () => this.#post());
  }

  /** Sends what it has begun until it is acknowledged. @throws Error with what was answered last, when that takes longer than it may */
  async stop(withinMs = STOP_MS): Promise<void> {
    this.#ends = true;
    const late = new AbortController();
    const isLate = sleep(withinMs, true, { signal: late.signal }).catch(() => true);
    const stopped = Promise.all(this.#posters).then(() => false);
    if (await Promise.race([stopped, isLate])) {
      this.#isAbandoned = true;
      throw new Error(`A request was not acknowledged for ${withinMs} ms after the end: ${this.#refusal}.`);
    }
    late.abort();
  }

  /** Without an answer to what was sent last. */
  async abandon(): Promise<void> {
    this.#isAbandoned = true;
    await this.stop();
  }

  async #post(): Promise<void> {
    const { batch, pauseMs } = this.#options;
    while (!this.#ends) {
      const first = this.#next;
      this.#next += batch;
      const requests = Array.from({ length: batch }, (_, at) => returnRequest(first + at));
      while (!(await this.#isSent(first, requests))) {
        if (this.#isAbandoned) return;
        await sleep(50); // killed, or not up again yet
      }
      for (const { id } of requests) this.accepted.add(String(id));
      await sleep(pauseMs);
    }
  }

  async #isSent(first: number, requests: readonly Record<string, unknown>[]): Promise<boolean> {
    try {
      const response = await this.#send(first, requests);
      this.#refusal = `status ${response.status}`;
      return await this.#options.isAcknowledged(response);
    } catch (error) {
      this.#refusal = String(error);
      return false;
    }
  }

  #send(first: number, requests: readonly Record<string, unknown>[]): Promise<Response> {
    const { target, key } = this.#options;
    const { url, contentType } = target(first);
    return fetch(url, {
      method: 'POST',
      headers: { authorization: `Bearer ${key}`, 'content-type': contentType },
      body: JSON.stringify(requests.length === 1 ? requests[0] : requests),
      signal: AbortSignal.timeout(10_000),
    });
  }
}
