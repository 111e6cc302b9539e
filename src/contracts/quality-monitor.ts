import { metrics, type ObservableResult } from '@opentelemetry/api';
import type { Clock } from '../kernel/clock.ts';
import type { CloudEvent, LoggedEvent } from '../kernel/cloudevent.ts';
import { derivedId } from '../kernel/ids.ts';
import type { Limits } from '../kernel/limits.ts';
import type { Database, Queryable } from '../store/database.ts';
import { timestamp } from '../store/rows.ts';
import { Distinct } from './distinct.ts';
import { type Counters, count, type MeasuredRule, noCounters } from './quality-rules.ts';

/** A rule over one window, as it was measured. */
export interface QualityWindow {
  contract: string;
  rule: string;
  /** Milliseconds since the epoch. */
  startMs: number;
  endMs: number;
  rows: number;
  /** Events that came when the window had been judged already; they are not in the value. */
  late: number;
  /** In the rule's unit; null when there was nothing to measure. */
  value: number | null;
  status: 'open' | 'passed' | 'failed' | 'empty';
}

interface WindowRow {
  rule: string;
  window_start: number;
  counters: Counters;
  status: QualityWindow['status'];
  late: number;
}

interface RuleRow {
  rule: string;
  begun_at: number;
  judged_until: number;
  newest_at: number | null;
  status: 'passed' | 'failed';
  untold: CloudEvent[] | null;
}

interface Dependencies {
  db: Database;
  clock: Clock;
  limits: Pick<Limits, 'contractQualityLatenessMs' | 'contractQualityWindowsMax'>;
  /** The rules that are measured of a type's events, by its newest version. */
  rulesOf(type: string): readonly MeasuredRule[];
  types(): readonly string[];
  /** Since when (milliseconds since the epoch) every event is kept, and whether any was ever dropped; nothing while there is no log. */
  logBegin(tx: Queryable): Promise<{ sinceMs: number; isDropped: boolean } | undefined>;
  /** When the first event that is not counted yet was recorded, milliseconds since the epoch; nothing when all are. */
  uncountedSince(tx: Queryable): Promise<number | undefined>;
  /** Appends an event, durably when it resolves: told when a rule fails and when it holds again. */
  emit(event: CloudEvent): Promise<unknown>;
}

const meter = metrics.getMeter('aios.contracts');
const valueGauge = meter.createObservableGauge('aios.contracts.quality.value', {
  description:
    'What a quality rule came to in the newest window that this process judged, in the unit of the rule (freshness, retention: seconds)',
});
const failedCounter = meter.createCounter('aios.contracts.quality.failed', {
  description: 'Windows in which a quality rule did not hold',
  unit: '{window}',
});
const SOURCE = '/aios/contracts';

/**
 * Measures quality rules over windows of event time: counts are added up with the consumer's offsets, and a window is judged once business time
 * has passed its end by `contractQualityLatenessMs` and what was recorded until then is counted. What comes later is counted as late and changes no verdict.
 */
export class QualityMonitor {
  readonly #dependencies: Dependencies;
  readonly #judged = new Map<string, { contract: string; rule: string; value: number }>();
  readonly #observe = (result: ObservableResult) => {
    for (const { value, ...attributes } of this.#judged.values()) result.observe(value, attributes);
  };

  constructor(dependencies: Dependencies) {
    this.#dependencies = dependencies;
  }

  /** Shows what is judged as a metric; returns how to stop. */
  expose(): () => void {
    valueGauge.addCallback(this.#observe);
    return () => valueGauge.removeCallback(this.#observe);
  }

  types(): readonly string[] {
    return this.#dependencies.types();
  }

  /** Adds a batch of events to their windows, in the transaction of the consumer's offsets. */
  async handle(events: readonly LoggedEvent[], tx: Queryable): Promise<undefined> {
    const groups = new Map<
      string,
      { contract: string; rule: MeasuredRule; startMs: number; events: LoggedEvent[] }
    >();
    for (const logged of events) {
      const { event, timeMs, recordedAtMs } = logged;
      for (const rule of this.#dependencies.rulesOf(event.type)) {
        if (rule.isOfLog) continue;
        // An event is a sign of life when it comes, whatever time it says: of a source that is two hours behind the newest event is two hours old, not unknown.
        const atMs = rule.rule.metric === 'freshness' ? recordedAtMs : timeMs;
        const startMs = windowOf(rule, atMs);
        const key = `${event.type}\0${rule.name}\0${startMs}`;
        const group = groups.get(key);
        if (group) group.events.push(logged);
        else groups.set(key, { contract: event.type, rule, startMs, events: [logged] });
      }
    }
    // In one order everywhere, so that two processes take their locks in the same one.
    for (const [, group] of [...groups].sort(([a], [b]) => (a < b ? -1 : 1))) await this.#add(tx, group);
    return undefined;
  }

  async #add(
    tx: Queryable,
    {
      contract,
      rule,
      startMs,
      events,
    }: { contract: string; rule: MeasuredRule; startMs: number; events: LoggedEvent[] },
  ): Promise<void> {
    const key = [contract, rule.name, timestamp(startMs)];
    await tx.query(
      `insert into contract_quality_windows (contract, rule, window_start, window_end, counters, status)
       select $1, $2, $3::timestamptz, $4, $5, case when exists (
         select from contract_quality_rules where contract = $1 and rule = $2 and judged_until > $3::timestamptz
       ) then 'empty' else 'open' end on conflict do nothing`,
      [...key, timestamp(startMs + rule.windowMs), JSON.stringify(noCounters())],
    );
    const [row] = await tx.query<WindowRow>(
      'select counters, status from contract_quality_windows where contract = $1 and rule = $2 and window_start = $3 for update',
      key,
    );
    if (row!.status !== 'open') {
      await tx.query(
        'update contract_quality_windows set late = late + $4 where contract = $1 and rule = $2 and window_start = $3',
        [...key, events.length],
      );
      return;
    }
    const { counters } = row!;
    const distinct = rule.rule.metric === 'duplicateValues' ? Distinct.from(counters.distinct) : undefined;
    for (const { event, recordedAtMs } of events) count(counters, rule, event, recordedAtMs, distinct);
    if (distinct) counters.distinct = distinct.state();
    await tx.query(
      'update contract_quality_windows set counters = $4 where contract = $1 and rule = $2 and window_start = $3',
      [...key, JSON.stringify(counters)],
    );
  }

  /**
   * Judges every window that business time has left behind, those without events too, and tells when a rule begins to fail and when it holds again.
   * Any process may call it at any time: each window is judged once.
   */
  async judge(): Promise<void> {
    for (const contract of this.types())
      for (const rule of this.#dependencies.rulesOf(contract)) await this.#judgeRule(contract, rule);
  }

  async #judgeRule(contract: string, rule: MeasuredRule): Promise<void> {
    const { db, clock, limits } = this.#dependencies;
    let untilMs = windowOf(rule, clock.now() - limits.contractQualityLatenessMs);
    const told: CloudEvent[] = [];
    let judgedMs = 0;
    await db.transaction(async (tx) => {
      const state = await this.#ruleRow(tx, contract, rule);
      if (!state) return;
      told.push(...(state.untold ?? []));
      judgedMs = state.judged_until;
      if (state.judged_until >= untilMs) return;
      // Of a log that is still being read, as after a pause of all processes, no window lacks what is yet to come.
      const countedMs = (await this.#dependencies.uncountedSince(tx)) ?? Number.POSITIVE_INFINITY;
      untilMs = Math.min(untilMs, windowOf(rule, countedMs - limits.contractQualityLatenessMs));
      if (state.judged_until >= untilMs) return;
      judgedMs = untilMs;
      // After a long pause only the newest windows are judged; none is read twice.
      const firstMs = Math.max(
        state.judged_until,
        untilMs - limits.contractQualityWindowsMax * rule.windowMs,
      );
      const rows = await tx.query<WindowRow>(
        'select window_start, counters from contract_quality_windows where contract = $1 and rule = $2 and window_start >= $3 and window_start < $4 for update',
        [contract, rule.name, timestamp(firstMs), timestamp(untilMs)],
      );
      const counted = new Map(rows.map((row) => [row.window_start, row.counters]));
      let newestMs = state.newest_at ?? 0;
      let { status } = state;
      for (let startMs = firstMs; startMs < untilMs; startMs += rule.windowMs) {
        const counters = counted.get(startMs) ?? noCounters();
        newestMs = Math.max(newestMs, counters.newestMs);
        const endMs = startMs + rule.windowMs;
        // What the log held at the end of an older window is not known any more.
        const value = rule.isOfLog
          ? await this.#kept(tx, rule, endMs === untilMs ? endMs : undefined)
          : rule.value(counters, endMs, newestMs);
        const verdict = verdictOf(rule, value, startMs < state.begun_at);
        if (value !== undefined)
          this.#judged.set(`${contract} ${rule.name}`, { contract, rule: rule.name, value });
        await this.#keep(tx, contract, rule, startMs, counters, value, verdict);
        if (verdict === 'failed') failedCounter.add(1, { contract, rule: rule.name });
        if (verdict === 'empty' || verdict === status) continue;
        status = verdict;
        told.push(toldOf(contract, rule, startMs, value!, verdict));
      }
      await tx.query(
        'update contract_quality_rules set judged_until = $3, newest_at = $4, status = $5, untold = $6 where contract = $1 and rule = $2',
        [
          contract,
          rule.name,
          timestamp(untilMs),
          newestMs === 0 ? null : timestamp(newestMs),
          status,
          told.length > 0 ? JSON.stringify(told) : null,
        ],
      );
      await tx.query(
        'delete from contract_quality_windows where contract = $1 and rule = $2 and window_start < $3',
        [contract, rule.name, timestamp(untilMs - limits.contractQualityWindowsMax * rule.windowMs)],
      );
    });
    if (told.length === 0) return;
    // Their ids are made of the window, so that telling twice is once.
    for (const event of told) await this.#dependencies.emit(event);
    await db.query(
      'update contract_quality_rules set untold = null where contract = $1 and rule = $2 and judged_until = $3',
      [contract, rule.name, timestamp(judgedMs)],
    );
  }

  /** For how many seconds the log was whole at the end of a window; nothing while a log that never lost an event is younger than was promised. */
  async #kept(tx: Queryable, rule: MeasuredRule, endMs: number | undefined): Promise<number | undefined> {
    if (endMs === undefined) return undefined;
    const begin = await this.#dependencies.logBegin(tx);
    if (!begin) return undefined;
    const seconds = Math.max(0, endMs - begin.sinceMs) / 1000;
    return begin.isDropped || rule.holds(seconds) ? seconds : undefined;
  }

  /** The rule's row, locked; begun with the window of its first event, or with the one that is open now. Windows of another length begin anew: counts of the others say nothing of them. */
  async #ruleRow(tx: Queryable, contract: string, rule: MeasuredRule): Promise<RuleRow | undefined> {
    const nowMs = this.#dependencies.clock.now();
    const begun = [timestamp(nowMs), timestamp(windowOf(rule, nowMs)), rule.windowMs];
    const key = [contract, rule.name];
    await tx.query(
      `insert into contract_quality_rules (contract, rule, begun_at, judged_until, window_ms, status)
       select $1, $2, $3::timestamptz, least(min(window_start), $4), $5, 'passed' from contract_quality_windows where contract = $1 and rule = $2
       on conflict do nothing`,
      [...key, ...begun],
    );
    const changed = await tx.query(
      'update contract_quality_rules set begun_at = $3, judged_until = $4, window_ms = $5 where contract = $1 and rule = $2 and window_ms <> $5 returning rule',
      [...key, ...begun],
    );
    if (changed.length > 0)
      await tx.query(
        "delete from contract_quality_windows where contract = $1 and rule = $2 and status = 'open'",
        key,
      );
    const [row] = await tx.query<RuleRow>(
      'select rule, begun_at, judged_until, newest_at, status, untold from contract_quality_rules where contract = $1 and rule = $2 for update skip locked',
      key,
    );
    return row;
  }

  async #keep(
    tx: Queryable,
    contract: string,
    rule: MeasuredRule,
    startMs: number,
    counters: Counters,
    value: number | undefined,
    status: QualityWindow['status'],
  ): Promise<void> {
    const { distinct: _, ...kept } = counters; // 5 kB of registers tell nothing once the value is known
    await tx.query(
      `insert into contract_quality_windows (contract, rule, window_start, window_end, counters, value, status)
       values ($1, $2, $3, $4, $5, $6, $7)
       on conflict (contract, rule, window_start) do update set counters = excluded.counters, value = excluded.value, status = excluded.status`,
      [
        contract,
        rule.name,
        timestamp(startMs),
        timestamp(startMs + rule.windowMs),
        JSON.stringify(kept),
        value ?? null,
        status,
      ],
    );
  }

  /** The last windows of a contract's rules, newest first. */
  async windows(contract: string, limit: number): Promise<QualityWindow[]> {
    return this.#dependencies.db.query<QualityWindow>(
      `select contract, rule, window_start as "startMs", window_end as "endMs", (counters->>'rows')::int as rows, late, value, status
       from contract_quality_windows where contract = $1 order by window_start desc, rule limit $2`,
      [contract, limit],
    );
  }

  /** Where each rule stands: as its last judged window left it. */
  async states(
    contract: string,
  ): Promise<{ rule: string; status: 'passed' | 'failed'; judgedUntilMs: number }[]> {
    const names = this.#dependencies.rulesOf(contract).map(({ name }) => name); // a rule that was taken out stands nowhere
    return this.#dependencies.db.query(
      'select rule, status, judged_until as "judgedUntilMs" from contract_quality_rules where contract = $1 and rule = any($2) order by rule',
      [contract, names],
    );
  }
}

/** Where the window of a moment begins, in milliseconds since the epoch. */
function windowOf({ windowMs }: MeasuredRule, atMs: number): number {
  return Math.floor(atMs / windowMs) * windowMs;
}

/** Events that are missing count only in a window that was measured whole. */
function verdictOf(
  rule: MeasuredRule,
  value: number | undefined,
  isPartial: boolean,
): 'empty' | 'passed' | 'failed' {
  if (value === undefined) return 'empty';
  if (rule.holds(value)) return 'passed';
  return isPartial && rule.rule.metric === 'rowCount' ? 'empty' : 'failed';
}

function toldOf(
  contract: string,
  { name, windowMs, rule }: MeasuredRule,
  startMs: number,
  value: number,
  verdict: 'passed' | 'failed',
): CloudEvent {
  return {
    specversion: '1.0',
    id: derivedId('qly', contract, name, String(startMs), verdict),
    source: SOURCE,
    type: verdict === 'failed' ? 'aios.contract.quality.failed.v1' : 'aios.contract.quality.recovered.v1',
    subject: contract,
    time: timestamp(startMs + windowMs),
    data: {
      contract,
      rule: name,
      value,
      windowStart: timestamp(startMs),
      windowEnd: timestamp(startMs + windowMs),
      severity: rule.severity ?? 'error',
      ...(rule.message === undefined ? {} : { message: rule.message }),
    },
  };
}
