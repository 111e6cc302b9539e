import { type Lane, plannedLane, type Write, write } from '../../store/lane.ts';

interface Statement {
  readonly text: string;
  readonly values: readonly unknown[];
}

/** Statements over the tables of this folder; each is one that may be sent again. A client's request is a statement or a few, whatever it brings. */
const trackingLane: Lane<Statement> = plannedLane({
  name: 'training runs',
  order: 70,
  plan: (items) => ({ statements: items }),
});

/** @example await commit.commit([tracked('delete from registered_models where name = $1', [name])]) */
export function tracked(text: string, values: readonly unknown[]): Write {
  return write(trackingLane, { text, values });
}
