import type { Clock } from '../../kernel/clock.ts';
import type { Limits } from '../../kernel/limits.ts';
import type { Changes } from '../../store/changes.ts';
import type { Database } from '../../store/database.ts';
import { Poller } from '../../store/poller.ts';
import { retryAfterMs, type WebhookSender } from './sender.ts';
import {
  claimDue,
  dueInMs,
  markFailing,
  readWebhook,
  updateDelivery,
  type Webhook,
  type WebhookDelivery,
} from './webhook-store.ts';

interface Dependencies {
  db: Database;
  clock: Clock;
  limits: Pick<Limits, 'webhookAnswerMs' | 'webhookDisableMs' | 'webhookPollMs' | 'eventReadBytesMax'>;
  changes?: Changes | undefined;
  /** What this process sends for, by id. */
  webhooks: ReadonlyMap<string, unknown>;
  senderOf(id: string): Pick<WebhookSender, 'attempt'>;
  disable(webhook: Webhook, reason: string): Promise<void>;
  onError(error: unknown): void;
}

/** Deliveries of one webhook that are tried at once; fewer where they are large (`eventReadBytesMax`). */
const DUE_MAX = 10;

/** Makes deliveries that failed again when they are due, each webhook by itself: a receiver that answers late, or not at all, holds up those of no other. */
export class WebhookRetrier {
  readonly #dependencies: Dependencies;
  readonly #poller: Poller;
  /** Webhooks whose deliveries are under way. */
  readonly #busy = new Map<string, Promise<void>>();
  #isEnding = false;

  constructor(dependencies: Dependencies) {
    this.#dependencies = dependencies;
    const { changes, limits, onError } = dependencies;
    this.#poller = new Poller({
      look: () => this.#look(),
      ...{ pollMs: limits.webhookPollMs, changes, tables: ['webhooks', 'webhook_deliveries'] },
      onError,
    });
  }

  begin(): void {
    this.#poller.begin();
  }

  wake(): void {
    this.#poller.wake();
  }

  /** What is under way may end. */
  async stop(): Promise<void> {
    this.#isEnding = true;
    await this.#poller.stop();
    await Promise.all(this.#busy.values());
  }

  /** @returns in how many milliseconds the next one is due */
  async #look(): Promise<number | undefined> {
    const { db, clock, limits, webhooks, onError } = this.#dependencies;
    if (this.#isEnding) return undefined;
    const due = await claimDue(db, {
      ...{ nowMs: clock.now(), holdMs: 2 * limits.webhookAnswerMs },
      ...{ countMax: DUE_MAX, bytesMax: limits.eventReadBytesMax },
      webhooks: [...webhooks.keys()].filter((id) => !this.#busy.has(id)),
    });
    for (const [id, deliveries] of Map.groupBy(due, ({ webhook }) => webhook)) {
      const trying = this.#tryAll(id, deliveries)
        .catch(onError)
        .finally(() => {
          this.#busy.delete(id);
          if (!this.#isEnding) this.wake();
        });
      this.#busy.set(id, trying);
    }
    const inMs = await dueInMs(db, clock.now(), [...this.#busy.keys()]);
    return inMs === undefined || inMs > 0 ? inMs : limits.webhookPollMs; // past: another process has it in hand
  }

  async #tryAll(id: string, deliveries: readonly WebhookDelivery[]): Promise<void> {
    const webhook = await readWebhook(this.#dependencies.db, id);
    if (webhook?.status !== 'active') return;
    const tried = await Promise.allSettled(deliveries.map((delivery) => this.#tryAgain(webhook, delivery)));
    for (const one of tried) if (one.status === 'rejected') throw one.reason;
  }

  async #tryAgain(webhook: Webhook, delivery: WebhookDelivery): Promise<void> {
    const { db, clock, limits, senderOf, disable } = this.#dependencies;
    const { isDelivered, response, detail } = await senderOf(webhook.id).attempt(webhook, delivery.event);
    const nowMs = clock.now();
    const attempts = delivery.attempts + 1;
    const afterMs = isDelivered ? undefined : retryAfterMs(attempts);
    await db.transaction(async (tx) => {
      await markFailing(tx, webhook.id, isDelivered ? null : nowMs); // first, as who deletes the webhook locks it
      await updateDelivery(tx, {
        ...delivery,
        attempts,
        nextAt: afterMs === undefined ? null : nowMs + afterMs,
        status: isDelivered ? 'delivered' : afterMs === undefined ? 'failed' : 'retrying',
        response,
        detail,
        lastAt: nowMs,
      });
    });
    if (response === 410) return disable(webhook, 'The receiver answered 410 Gone.');
    const failingSince = (await readWebhook(db, webhook.id))?.failingSince ?? null; // it may be deleted by now
    if (failingSince !== null && nowMs - failingSince >= limits.webhookDisableMs)
      await disable(webhook, `No delivery has succeeded since ${new Date(failingSince).toISOString()}.`);
  }
}
