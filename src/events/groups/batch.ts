import type { LoggedEvent } from '../../kernel/cloudevent.ts';

/** What a batch holds of one partition. */
export interface Share {
  readonly partition: number;
  readonly offset: number;
  readonly events: LoggedEvent[];
  /** The offset after them: more than their number further, where a part of the log was dropped. */
  readonly next: number;
}
