import type { Json, JsonObject } from '../../kernel/json.ts';
import { correlationOf, equal, eventScope } from '../language/event-filter.ts';
import type { EventFilter, ListenNode } from '../language/flow.ts';
import type { Scope } from '../language/templates.ts';
import type { Branch } from './branch.ts';
import type { EachItem } from './consuming.ts';
import type { Journal, ListenFilter, TakenEvent } from './journal.ts';

/**
 * A `listen` step: takes events one by one, in the order of the log, until it has what `to` asks for; an event waits while `foreach` is at the one
 * before (dsl-reference.md, "Listen").
 */
export async function listen(
  step: ListenNode,
  key: string,
  scope: Scope,
  journal: Journal,
  branch: Branch,
  each: EachItem | undefined,
): Promise<Json[]> {
  const filters = [...step.filters, ...(step.until?.filters ?? [])];
  const known = journal.subscribe(
    key,
    filters.map((filter) => expectations(filter, scope)),
    branch,
  );
  if (known && !each) return (await known()) as Json[];
  const taking = new Taking(step, filters);
  const outputs: Json[] = [];
  for (let n = 0; !taking.done; n++) {
    const taken = await journal.nextEvent(key, n, branch);
    if (!taking.take(taken)) continue;
    const item = read(step, taken.event);
    const made = each
      ? await each(item, outputs.length)
      : { output: item, ended: false, context: scope.context };
    outputs.push(made.output);
    if (made.ended || step.until?.condition?.({ ...scope, output: outputs, context: made.context })) break;
  }
  // `all` answers in the order of its filters, whatever came first.
  const output = step.mode === 'all' && !each ? taking.inOrder().map((event) => read(step, event)) : outputs;
  journal.listened(key, output, () => taking.correlations());
  return output;
}

/** Which events a step still waits for. */
class Taking {
  readonly #step: ListenNode;
  readonly #filters: readonly EventFilter[];
  readonly #first = new Map<number, JsonObject>();
  readonly #correlated = new Map<string, Json>();
  #last = '';
  done = false;

  constructor(step: ListenNode, filters: readonly EventFilter[]) {
    this.#step = step;
    this.#filters = filters;
  }

  /** Whether the event counts. The same event comes once for each filter that it fits. */
  take({ filter, place, event }: TakenEvent): boolean {
    const { mode, filters, until } = this.#step;
    const ends = filter >= filters.length;
    if (
      (!ends && mode !== 'all' && place === this.#last) ||
      ((ends || mode === 'all') && this.#first.has(filter))
    )
      return false;
    if (!this.#correlates(this.#filters[filter]!, event)) return false;
    this.#first.set(filter, event);
    if (ends) {
      this.done =
        until!.mode !== 'all' || until!.filters.every((_, index) => this.#first.has(filters.length + index));
      return false;
    }
    this.#last = place;
    if (mode === 'all') this.done = filters.every((_, index) => this.#first.has(index));
    else this.done = until === undefined;
    return true;
  }

  inOrder(): JsonObject[] {
    return this.#step.filters.map((_, index) => this.#first.get(index)!);
  }

  /** What the events taken have in common, by the name of the correlation; of one that expects a value, that value. */
  correlations(): JsonObject {
    const found = Object.fromEntries(this.#correlated);
    for (const [index, event] of this.#first) {
      for (const { name, from, expect } of this.#filters[index]!.correlate)
        if (expect) found[name] = correlationOf(from, eventScope(event));
    }
    return found;
  }

  /** A correlation that expects nothing is fixed by the first event that has it; one that has it not is not meant. */
  #correlates(filter: EventFilter, event: JsonObject): boolean {
    const open = filter.correlate.filter(({ expect }) => !expect);
    const found = open.map(({ name, from }) => [name, correlationOf(from, eventScope(event))] as const);
    const fits = ([name, value]: readonly [string, Json]) =>
      value !== null && equal(this.#correlated.get(name) ?? value, value);
    if (!found.every(fits)) return false;
    for (const [name, value] of found) this.#correlated.set(name, value);
    return true;
  }
}

function expectations(filter: EventFilter, scope: Scope): ListenFilter {
  return {
    filter,
    attributes: filter.attributes.map(({ value }) => value(scope)),
    correlate: filter.correlate.flatMap(({ expect }) => (expect ? [expect(scope)] : [])),
  };
}

/** AIOS's events carry their data parsed: `raw` is the data as text, unless it is text already. */
function read({ read: mode }: ListenNode, event: JsonObject): Json {
  const data = event.data ?? null;
  if (mode === 'envelope') return event;
  return mode === 'data' || typeof data === 'string' ? data : JSON.stringify(data);
}
