import type { JsonObject } from '../../kernel/json.ts';
import type { Quota } from '../../kernel/quota.ts';
import type { Validator } from '../../kernel/schema.ts';
import type { CallRecord } from './call-record.ts';
import type { LanguageModel, Target } from './endpoint.ts';
import type { Bill, MeteredCall } from './metering.ts';
import type { Route } from './routing.ts';
import type { Upstream } from './upstream.ts';

/** A call with all that its model and its request say; nothing has been asked yet. */
export interface PreparedCall extends MeteredCall {
  /** The model as the caller named it. */
  readonly asked: string;
  readonly digest: string;
  readonly languageModel: LanguageModel;
  readonly fallbacks: readonly Target[];
  readonly question: JsonObject;
  /** What the answer is held to. */
  readonly validator: Validator | undefined;
  /** Told what the caller has left of each limit over the call: of calls at once, of tokens when the call is paid for. */
  readonly onQuota: ((quota: Quota) => void) | undefined;
  /** There when the call was drawn for the request log. */
  readonly record: CallRecord | undefined;
}

interface OpenCallParts {
  prepared: PreparedCall;
  signal: AbortSignal;
  bill: Bill;
  route: Route;
  upstream: Upstream;
  release(): void;
}

/** A call that holds a slot and a bill. */
export class OpenCall {
  readonly prepared: PreparedCall;
  readonly signal: AbortSignal;
  readonly bill: Bill;
  readonly #parts: OpenCallParts;
  #ended = false;

  constructor(parts: OpenCallParts) {
    this.prepared = parts.prepared;
    this.signal = parts.signal;
    this.bill = parts.bill;
    this.#parts = parts;
  }

  /** A whole answer of whichever server of the model gives one. */
  ask(path: string, body: JsonObject) {
    const { upstream } = this.#parts;
    return this.#route((target) => upstream.ask(target, path, body, this.signal));
  }

  /** The chunks of a stream, once the first is there. */
  stream(path: string, body: JsonObject) {
    const { upstream } = this.#parts;
    return this.#route((target) => {
      const usage = target.streamUsage ? { stream_options: { include_usage: true } } : {};
      return upstream.stream(target, path, { ...body, stream: true, ...usage }, this.signal);
    });
  }

  /** Gives the slot back and settles the bill, once. */
  async end(error?: unknown): Promise<void> {
    if (this.#ended) return;
    this.#ended = true;
    this.#parts.release();
    await this.bill.close(error);
  }

  #route<T>(attempt: (target: Target) => Promise<T>) {
    const { languageModel, fallbacks, record } = this.prepared;
    return this.#parts.route.ask(languageModel, fallbacks, this.signal, (target) => {
      this.bill.answeredBy(target);
      return record ? record.attempt(target, attempt(target)) : attempt(target);
    });
  }
}
