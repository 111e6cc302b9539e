import type { Lane, Plan, Write } from './lane.ts';
import { type Prepared, prepared } from './prepared.ts';

/** The writes of one caller: all or none. */
export interface Unit {
  readonly writes: readonly Write[];
  readonly results: unknown[];
  resolve(results: unknown[]): void;
  reject(error: Error): void;
}

/** What one lane writes in a flush, and for whom. */
export interface LaneRows {
  readonly lane: Lane<unknown, unknown>;
  readonly items: unknown[];
  results: readonly unknown[];
  /** Whose each item is, and which of its writes. */
  readonly units: Unit[];
  readonly positions: number[];
}

/** The statements of a lane as they are sent, and what their rows mean. */
export interface Planned {
  readonly statements: readonly Prepared[];
  readonly results: Plan<unknown>['results'];
}

/** What one transaction writes. */
export interface Flush {
  readonly units: readonly Unit[];
  readonly lanes: readonly LaneRows[];
  /** Undefined where a lane has to ask something first. */
  readonly plans: readonly Planned[] | undefined;
  /** Why it cannot be planned. */
  readonly fault?: unknown;
}

/** Puts units together by lane, in the order of the lanes, and encodes what is to be sent: before any of it is, so that what cannot be leaves nothing half written. */
export function flushOf(units: readonly Unit[]): Flush {
  const lanes = byLane(units);
  try {
    return { units, lanes, plans: plansOf(lanes) };
  } catch (fault) {
    return { units, lanes, plans: undefined, fault };
  }
}

function plansOf(lanes: readonly LaneRows[]): Planned[] | undefined {
  const plans: Planned[] = [];
  for (const { lane, items } of lanes) {
    const plan = lane.plan?.(items);
    if (!plan) return undefined;
    const statements = plan.statements.map(({ text, values }) => prepared(text, values));
    plans.push({ statements, results: plan.results });
  }
  return plans;
}

function byLane(units: readonly Unit[]): LaneRows[] {
  const lanes = new Map<Lane<unknown, unknown>, LaneRows>();
  let rows: LaneRows | undefined;
  for (const unit of units) {
    const { writes } = unit;
    for (let position = 0; position < writes.length; position++) {
      const { lane, item } = writes[position]!;
      if (rows?.lane !== lane) rows = lanes.get(lane);
      if (!rows) {
        rows = { lane, items: [], results: [], units: [], positions: [] };
        lanes.set(lane, rows);
      }
      rows.items.push(item);
      rows.units.push(unit);
      rows.positions.push(position);
    }
  }
  return [...lanes.values()].sort((a, b) => a.lane.order - b.lane.order);
}
