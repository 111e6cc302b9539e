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

/** Send return requests as long as the chaos lasts; what gets no answer is sent again, as producers and clients do. */
export class Posters {
  /** Ids of the requests that were acknowledged: these count, whatever happens. */
  readonly accepted = new Set<string>();
  readonly #options: Options;
  readonly #posters: Promise<void>[];
  #next = 0;
  #ends = false;
  #isAbandoned = false;

  constructor(options: Options) {
    this.#options = options;
    this.#posters = Array.from({ length: options.posters }, () => this.#post());
  }

  async stop(): Promise<void> {
    this.#ends = true;
    await Promise.all(this.#posters);
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
      while (!(await this.#send(first, requests).catch(() => false))) {
        if (this.#isAbandoned) return;
        await sleep(50); // killed, or not up again yet
      }
      for (const { id } of requests) this.accepted.add(String(id));
      await sleep(pauseMs);
    }
  }

  async #send(first: number, requests: readonly Record<string, unknown>[]): Promise<boolean> {
    const { target, isAcknowledged, key } = this.#options;
    const { url, contentType } = target(first);
    const response = await fetch(url, {
      method: 'POST',
      headers: { authorization: `Bearer ${key}`, 'content-type': contentType },
      body: JSON.stringify(requests.length === 1 ? requests[0] : requests),
      signal: AbortSignal.timeout(10_000),
    });
    return isAcknowledged(response);
  }
}
