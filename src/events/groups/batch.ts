import type { LoggedEvent } from '../../kernel/cloudevent.ts';

/** What a batch holds of one partition. */
export interface Share {
  readonly partition: number;
  readonly offset: number;
  readonly events: LoggedEvent[];
  /** The offset after them: more than their number further, where a part of the log was dropped. */
  readonly next: number;
}

/** What came of a batch: what to do after its commit, and the move of the group's place, which may still be on its way. */
export interface Worked {
  after?: (() => void) | undefined;
  moved?: Promise<number> | undefined;
}

/** Definitions were changed by another process, and are not yet known here. */
export class Outdated extends Error {}
