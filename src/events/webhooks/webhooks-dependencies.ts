import type { Clock } from '../../kernel/clock.ts';
import type { JsonObject } from '../../kernel/json.ts';
import type { Limits } from '../../kernel/limits.ts';
import type { Changes } from '../../store/changes.ts';
import type { Database } from '../../store/database.ts';
import type { Write } from '../../store/lane.ts';
import type { EventConsumers } from '../consumers.ts';
import type { EventLog } from '../log.ts';
import type { SendWebhook } from './sender.ts';

/** What is recorded of a webhook, in the transaction that does it. */
export interface WebhookChange {
  readonly action: 'created' | 'changed' | 'rotated' | 'deleted' | 'disabled' | 'retried';
  readonly id: string;
  /** Nothing where AIOS did it itself. */
  readonly by: { kind: string; id: string } | undefined;
  readonly payload: JsonObject;
}

export interface WebhooksDependencies {
  db: Database;
  log: EventLog;
  consumers: EventConsumers;
  clock: Clock;
  limits: Pick<
    Limits,
    | 'webhookBatchMax'
    | 'webhookPollMs'
    | 'webhookDisableMs'
    | 'webhookSecretMs'
    | 'webhookAnswerMs'
    | 'pageBytesMax'
    | 'eventReadBytesMax'
  >;
  changes?: Changes;
  /** 32 bytes that secrets are sealed with. */
  key: Uint8Array;
  send: SendWebhook;
  takesPart: boolean;
  record: (change: WebhookChange) => Write;
  onError: (error: unknown) => void;
}
