import { AiosError } from '../../kernel/errors.ts';
import { derivedId, newId } from '../../kernel/ids.ts';
import type { Queryable } from '../../store/database.ts';
import type { Write } from '../../store/lane.ts';
import type { LargePage } from '../../store/large-pages.ts';
import { Poller } from '../../store/poller.ts';
import { writeInTransaction } from '../../store/write-in-transaction.ts';
import type { ConsumerDefinition } from '../consumer-definition.ts';
import { compileSelection, type Selection } from '../selection.ts';
import { WebhookRetrier } from './retrier.ts';
import { messageId, WebhookSender } from './sender.ts';
import { addressOf, channelOf, disabledEvent, shownOf, type WebhookChannel } from './shape.ts';
import { checkSecret, newWebhookSecret, SecretBox } from './signature.ts';
import {
  type AskedDeliveries,
  deleteWebhook,
  insertFailed,
  insertWebhook,
  lockWebhook,
  readDeliveries,
  readWebhook,
  readWebhooks,
  retryNow,
  updateWebhook,
  type Webhook,
  type WebhookDelivery,
  webhookGroup,
} from './webhook-store.ts';
import type { WebhookChange, WebhooksDependencies } from './webhooks-dependencies.ts';

type Actor = { kind: string; id: string };

/** What may be said of a webhook. */
export interface WebhookWanted extends Selection {
  url?: string | undefined;
  description?: string | undefined;
  enabled?: boolean | undefined;
}

/** What may be changed of it; `null` takes away what was selected by. */
type WebhookChanges = Omit<WebhookWanted, keyof Selection> & {
  readonly [member in keyof Selection]?: Selection[member] | null;
};

const END_MS = 2_000;

/**
 * Outgoing webhooks (Standard Webhooks): each is a consumer group of its own over the log, shared among the processes. Its events go out in the order of their
 * partitions; one that fails is put aside and tried again on a schedule, while the others go on.
 *
 * @example const { id, secret } = await webhooks.create({ url: 'https://example.org/hook', types: ['order.placed'] }, by)
 */
export class Webhooks {
  readonly #dependencies: WebhooksDependencies;
  readonly #secrets: SecretBox;
  readonly #known = new Map<string, Webhook>();
  readonly #senders = new Map<string, WebhookSender>();
  readonly #stopping = new AbortController();
  #isEnding = false;
  readonly #follower: Poller;
  readonly #retrier: WebhookRetrier;
  #looking: Promise<void> = Promise.resolve();

  constructor(dependencies: WebhooksDependencies) {
    this.#dependencies = dependencies;
    this.#secrets = new SecretBox(dependencies.key);
    const { changes, limits } = dependencies;
    this.#follower = new Poller({
      look: () => this.#look().then(() => undefined),
      ...{ pollMs: limits.webhookPollMs, changes, tables: ['webhooks'] },
    });
    // Apart from the looks: an answer of a receiver may take long, and nobody who changes a webhook waits for it.
    this.#retrier = new WebhookRetrier({
      ...dependencies,
      webhooks: this.#known,
      senderOf: (id) => this.#senderOf(id),
      disable: (webhook, reason) => this.#disable(webhook, reason),
      onError: (error) => this.#told(error),
    });
    const { consumers } = dependencies;
    const others = consumers.onUnknownGroup;
    consumers.onUnknownGroup = async (group) => {
      const active = (await this.list()).find(
        ({ id, status }) => webhookGroup(id) === group && status === 'active',
      );
      return active ? this.#consumerOf(active.id) : others(group);
    };
  }

  /**
   * A webhook from now on: the events that come after this. The secret is told once; asked again with the same key, it is not.
   *
   * @throws AiosError `webhooks.invalid`, `expression.syntax`
   */
  async create(
    { url, description = '', types, filter }: WebhookWanted,
    by: Actor,
    { secret, idempotencyKey }: { secret?: string | undefined; idempotencyKey?: string | undefined } = {},
  ): Promise<{ webhook: Webhook; secret: string | undefined }> {
    const { clock } = this.#dependencies;
    const nowMs = clock.now();
    const told = secret === undefined ? newWebhookSecret() : checkSecret(secret);
    compileSelection({ types, filter });
    const webhook: Webhook = {
      id: idempotencyKey === undefined ? newId('whk', nowMs) : derivedId('whk', by.id, idempotencyKey),
      url: addressOf(url ?? ''),
      description,
      selection: { types, filter },
      secrets: [{ sealed: this.#secrets.seal(told), untilMs: null }],
      status: 'active',
      disabledReason: null,
      failingSince: null,
      createdAt: nowMs,
      updatedAt: nowMs,
    };
    const created = await this.#commit((tx) => insertWebhook(tx, webhook), {
      action: 'created',
      id: webhook.id,
      by,
      payload: shownOf(webhook),
    });
    await this.#look();
    return { webhook: await this.get(webhook.id), secret: created ? told : undefined };
  }

  list(): Promise<Webhook[]> {
    return readWebhooks(this.#dependencies.db);
  }

  /** Where they go, those that are disabled left out. */
  async channels(): Promise<WebhookChannel[]> {
    const webhooks = await this.list();
    return webhooks.filter(({ status }) => status === 'active').map(channelOf);
  }

  /** @throws AiosError `webhooks.unknown` */
  async get(id: string): Promise<Webhook> {
    const webhook = await readWebhook(this.#dependencies.db, id);
    if (!webhook) throw unknown(id);
    return webhook;
  }

  /** Changes what is said of it. Enabled again, it begins with what comes from then on; a replay gives it what came before. */
  async update(
    id: string,
    { url, description, types, filter, enabled }: WebhookChanges,
    by: Actor,
  ): Promise<Webhook> {
    const webhook = await this.#change(id, by, 'changed', (known) => {
      const selection = {
        types: types === undefined ? known.selection.types : (types ?? undefined),
        filter: filter === undefined ? known.selection.filter : (filter ?? undefined),
      };
      compileSelection(selection);
      const isEnabled = enabled ?? known.status === 'active';
      return {
        ...known,
        url: url === undefined ? known.url : addressOf(url),
        description: description ?? known.description,
        selection,
        status: isEnabled ? 'active' : 'disabled',
        disabledReason: isEnabled ? null : (known.disabledReason ?? 'It was disabled by a person.'),
      };
    });
    await this.#look();
    return webhook;
  }

  /** Gives it a new secret, told once; those before sign too for `webhookSecretMs`. */
  async rotate(id: string, by: Actor): Promise<{ webhook: Webhook; secret: string }> {
    const { clock, limits } = this.#dependencies;
    const nowMs = clock.now();
    const secret = newWebhookSecret();
    const sealed = this.#secrets.seal(secret);
    const webhook = await this.#change(id, by, 'rotated', (known) => {
      const before = known.secrets
        .filter(({ untilMs }) => untilMs === null || untilMs > nowMs)
        .map((earlier) => ({ ...earlier, untilMs: earlier.untilMs ?? nowMs + limits.webhookSecretMs }));
      return { ...known, secrets: [{ sealed, untilMs: null }, ...before] };
    });
    await this.#look();
    return { webhook, secret };
  }

  async delete(id: string, by: Actor): Promise<void> {
    await this.get(id);
    await this.#commit((tx) => deleteWebhook(tx, id), { action: 'deleted', id, by, payload: {} });
    void this.#look(); // a delivery that is under way may end first
  }

  /** A page of the deliveries that did not succeed at once, the last tried first; it is shorter where events are large (`pageBytesMax`). */
  async deliveries(id: string, asked: AskedDeliveries): Promise<LargePage<WebhookDelivery>> {
    const { db, limits } = this.#dependencies;
    await this.get(id);
    return readDeliveries(db, id, asked, limits);
  }

  /** Makes a delivery once more, now. @throws AiosError `webhooks.unknown` */
  async retry(id: string, delivery: string, by: Actor): Promise<void> {
    const found = await this.#commit((tx) => retryNow(tx, id, delivery, this.#dependencies.clock.now()), {
      action: 'retried',
      id,
      by,
      payload: { delivery },
    });
    if (!found) throw new AiosError('webhooks.unknown', { detail: `${id} has no delivery “${delivery}”.` });
    this.#retrier.wake();
  }

  async start(): Promise<void> {
    if (!this.#dependencies.takesPart) return;
    await this.#look();
    this.#follower.begin();
    this.#retrier.begin();
  }

  /** Begins no delivery any more; what is under way may end within `END_MS`, and comes again at the next start otherwise. */
  async stop(): Promise<void> {
    this.#isEnding = true;
    setTimeout(() => this.#stopping.abort(), END_MS).unref();
    await Promise.all([this.#follower.stop(), this.#retrier.stop(), this.#looking]);
  }

  #look(): Promise<void> {
    if (!this.#dependencies.takesPart || this.#isEnding) return Promise.resolve();
    this.#looking = this.#looking.then(() => this.#follow()).catch((error: unknown) => this.#told(error));
    return this.#looking;
  }

  #told(error: unknown): void {
    if (!this.#isEnding) this.#dependencies.onError(error);
  }

  /** Follows what was made, changed and ended, in whichever process. */
  async #follow(): Promise<void> {
    const { db, consumers } = this.#dependencies;
    const active = (await readWebhooks(db)).filter(({ status }) => status === 'active');
    for (const id of [...this.#known.keys()]) {
      if (active.some((webhook) => webhook.id === id)) continue;
      this.#known.delete(id);
      this.#senders.delete(id);
      await consumers.remove(webhookGroup(id));
    }
    for (const webhook of active) {
      const before = this.#known.get(webhook.id);
      this.#known.set(webhook.id, webhook);
      // With another address or secret the receiver is not the one that failed: nothing waits for that to be over.
      if (before?.updatedAt !== webhook.updatedAt) this.#senders.delete(webhook.id);
      if (!before) await this.#begin(webhook.id);
    }
  }

  /** One that could not begin, as the database was away, is new at the next look again. */
  async #begin(id: string): Promise<void> {
    try {
      await this.#dependencies.consumers.addRunning(this.#consumerOf(id));
    } catch (error) {
      this.#known.delete(id);
      throw error;
    }
  }

  #senderOf(id: string): WebhookSender {
    const known = this.#senders.get(id);
    if (known) return known;
    const { send, clock } = this.#dependencies;
    const sender = new WebhookSender({
      send,
      clock,
      secrets: this.#secrets,
      signal: this.#stopping.signal,
      isEnding: () => this.#isEnding || !this.#known.has(id),
    });
    this.#senders.set(id, sender);
    return sender;
  }

  #consumerOf(id: string): ConsumerDefinition {
    const { db, limits, onError } = this.#dependencies;
    return {
      group: webhookGroup(id),
      from: 'latest',
      isRepeatable: true,
      // It takes all: another process may have changed what is selected, which is not known here.
      wakesOn: () => this.#known.get(id)?.selection.types,
      room: () => (this.#senderOf(id).isAway() ? 0 : limits.webhookBatchMax),
      // Only of dead letters, which could not even be tried: they are deliveries that are due now.
      handle: async (events, tx) => {
        const nowMs = this.#dependencies.clock.now();
        const detail = 'It was a dead letter, and is tried again.';
        const due = events.map((logged) => ({
          id: messageId(id, logged.event),
          logged,
          response: null,
          detail,
        }));
        await insertFailed(tx, id, due, nowMs, nowMs);
        return () => this.#retrier.wake();
      },
      deliver: async (events) => {
        // As it is now: a receiver that was told a new secret may know no other, whichever process gave it.
        const webhook = this.#known.has(id) ? await readWebhook(db, id) : undefined;
        if (webhook?.status !== 'active') return { undone: events, write: async () => {} };
        const isSelected = compileSelection(webhook.selection);
        const selected = events.filter(({ event }) => isSelected(event));
        const delivery = await this.#senderOf(id).deliver(webhook, selected);
        if (delivery.isGone) void this.#disable(webhook, 'The receiver answered 410 Gone.').catch(onError);
        return delivery;
      },
    };
  }

  /** On record, and told as an event: nobody looks at a webhook that works. */
  async #disable(webhook: Webhook, reason: string): Promise<void> {
    const { clock, log } = this.#dependencies;
    const nowMs = clock.now();
    const { id } = webhook;
    await this.#commit(
      async (tx) => {
        const current = await lockWebhook(tx, id);
        if (current?.status !== 'active') return false;
        await updateWebhook(tx, { ...current, status: 'disabled', disabledReason: reason, updatedAt: nowMs });
        return true;
      },
      { action: 'disabled', id, by: undefined, payload: { reason } },
      [log.write(disabledEvent(webhook, reason, nowMs))],
    );
  }

  /** Makes of what there is what there will be, while nobody else changes it. @throws AiosError `webhooks.unknown`, and what `next` throws */
  async #change(
    id: string,
    by: Actor,
    action: 'changed' | 'rotated',
    next: (known: Webhook) => Webhook,
  ): Promise<Webhook> {
    const { db, clock, record } = this.#dependencies;
    const [webhook, committed] = await db.transaction(async (tx) => {
      const known = await lockWebhook(tx, id);
      const changed = known && (await updateWebhook(tx, { ...next(known), updatedAt: clock.now() }));
      if (!changed) throw unknown(id);
      const payload = action === 'changed' ? shownOf(changed) : {};
      return [changed, await writeInTransaction(tx, [record({ action, id, by, payload })])] as const;
    });
    committed();
    return webhook;
  }

  /** A change and what is recorded of it, together; nothing when nothing was changed. */
  async #commit(
    work: (tx: Queryable) => Promise<boolean>,
    change: WebhookChange,
    writes: readonly Write[] = [],
  ): Promise<boolean> {
    let committed: (() => void) | undefined;
    await this.#dependencies.db.transaction(async (tx) => {
      if (!(await work(tx))) return;
      committed = await writeInTransaction(tx, [...writes, this.#dependencies.record(change)]);
    });
    committed?.();
    return committed !== undefined;
  }
}

const unknown = (id: string) => new AiosError('webhooks.unknown', { detail: `There is no webhook “${id}”.` });
