import type { Clock } from '../../kernel/clock.ts';
import type { CloudEvent, LoggedEvent } from '../../kernel/cloudevent.ts';
import { derivedId } from '../../kernel/ids.ts';
import type { Delivery } from '../consumer-definition.ts';
import { type SecretBox, webhookHeaders } from './signature.ts';
import { type FailedDelivery, insertFailed, markFailing, type Webhook } from './webhook-store.ts';

/** Sends one request through the guard of what leaves; resolves with the HTTP status of the answer. */
export type SendWebhook = (request: {
  url: string;
  headers: Record<string, string>;
  body: string;
  signal: AbortSignal;
}) => Promise<number>;

/** What came of one attempt. */
export interface Attempt {
  readonly isDelivered: boolean;
  readonly response: number | null;
  readonly detail: string;
}

/** The schedule of Standard Webhooks, in milliseconds after the attempt before: ten attempts over about three days. */
const SCHEDULE_MS = [
  5_000, 300_000, 1_800_000, 7_200_000, 18_000_000, 36_000_000, 50_400_000, 72_000_000, 86_400_000,
];
/** So many failures in a row, and the receiver is taken to be away: what comes next stays in the log meanwhile. */
const AWAY_AFTER = 3;
const AWAY_MS = 1_000;
const AWAY_MAX_MS = 300_000;

const UNSIGNED =
  'Nothing was sent: the secret of this webhook was sealed with another master key than the one of this process. Give the webhook a new secret (rotate), or the process its master key.';

/** When an attempt that failed is made again, in milliseconds; nothing after the last one. */
export function retryAfterMs(attempts: number): number | undefined {
  return SCHEDULE_MS[attempts - 1];
}

interface Dependencies {
  send: SendWebhook;
  secrets: SecretBox;
  clock: Clock;
  signal: AbortSignal;
  /** Whether nothing more is to be begun. */
  isEnding: () => boolean;
}

/** Sends events to the receiver of one webhook. */
export class WebhookSender {
  readonly #dependencies: Dependencies;
  #failures = 0;
  #awayUntilMs = 0;

  constructor(dependencies: Dependencies) {
    this.#dependencies = dependencies;
  }

  /** Whether the receiver has just failed so often that it is left alone for a while. */
  isAway(): boolean {
    return performance.now() < this.#awayUntilMs;
  }

  /** One message, signed for this moment. Its id is that of the event for this webhook, however often it is sent. */
  async attempt(webhook: Webhook, event: CloudEvent): Promise<Attempt> {
    const { send, secrets, clock, signal } = this.#dependencies;
    const body = JSON.stringify(event);
    const nowMs = clock.now();
    // One that does not open signs nothing; the others do, such as the one that was given in its place.
    const inForce = webhook.secrets
      .filter(({ untilMs }) => untilMs === null || untilMs > nowMs)
      .flatMap(({ sealed }) => secrets.open(sealed) ?? []);
    if (inForce.length === 0) {
      this.#note(false);
      return { isDelivered: false, response: null, detail: UNSIGNED };
    }
    const headers = {
      'content-type': 'application/cloudevents+json; charset=utf-8',
      'user-agent': 'aios-webhooks',
      ...webhookHeaders(messageId(webhook.id, event), Math.floor(nowMs / 1000), body, inForce),
    };
    try {
      const response = await send({ url: webhook.url, headers, body, signal });
      const isDelivered = response >= 200 && response < 300;
      this.#note(isDelivered);
      return { isDelivered, response, detail: isDelivered ? '' : `The receiver answered ${response}.` };
    } catch (error) {
      signal.throwIfAborted(); // this process stops: that says nothing about the receiver
      this.#note(false);
      return { isDelivered: false, response: null, detail: (error as Error).message.slice(0, 500) };
    }
  }

  /** Sends events, the partitions beside each other, each in its order; what fails is put aside to be tried again by itself. */
  async deliver(webhook: Webhook, events: readonly LoggedEvent[]): Promise<Delivery & { isGone: boolean }> {
    const failed: FailedDelivery[] = [];
    const undone: LoggedEvent[] = [];
    let succeeded = 0;
    let isGone = false;
    const byPartition = Map.groupBy(events, ({ partition }) => partition);
    const sendOne = async (logged: LoggedEvent) => {
      const { isDelivered, response, detail } = await this.attempt(webhook, logged.event);
      isGone ||= response === 410;
      if (isDelivered) succeeded++;
      else failed.push({ id: messageId(webhook.id, logged.event), logged, response, detail });
    };
    await Promise.all(
      [...byPartition.values()].map(async (run) => {
        for (const [index, logged] of run.entries()) {
          if (isGone || this.isAway() || this.#dependencies.isEnding()) {
            undone.push(...run.slice(index));
            return;
          }
          await sendOne(logged);
        }
      }),
    );
    const nowMs = this.#dependencies.clock.now();
    return {
      undone,
      isGone,
      async write(tx) {
        await insertFailed(tx, webhook.id, failed, nowMs, nowMs + SCHEDULE_MS[0]!);
        if (succeeded > 0 || failed.length > 0)
          await markFailing(tx, webhook.id, succeeded > 0 ? null : nowMs);
      },
    };
  }

  #note(isDelivered: boolean): void {
    if (isDelivered) {
      this.#failures = 0;
      this.#awayUntilMs = 0;
      return;
    }
    this.#failures++;
    if (this.#failures < AWAY_AFTER) return;
    const awayMs = Math.min(AWAY_MAX_MS, AWAY_MS * 2 ** Math.min(this.#failures - AWAY_AFTER, 10));
    this.#awayUntilMs = performance.now() + awayMs;
  }
}

/** The `webhook-id` of an event for a webhook: receivers know a repetition by it. */
export function messageId(webhook: string, { source, id }: CloudEvent): string {
  return derivedId('msg', webhook, source, id);
}
