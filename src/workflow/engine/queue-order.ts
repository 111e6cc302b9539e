/** A line of a queue as an admission sees it: its turn, and the first of its runs in the order of their ranks. */
export interface Line {
  readonly line: string;
  readonly turn: number;
  readonly weight: number;
  readonly heads: readonly { readonly runId: string; readonly rank: number }[];
  /** There are runs behind those heads. */
  readonly more: boolean;
  /** How many of it may be admitted. */
  readonly room: number;
}

export interface Choice {
  /** In the order of admission. */
  readonly runIds: readonly string[];
  /** The next turn of each line that something was taken from. */
  readonly turns: ReadonlyMap<string, number>;
  /** The turn of the last one taken: where new lines begin. */
  readonly turn: number | undefined;
  /** Stopped because the next head was not among those given. */
  readonly incomplete: boolean;
}

interface Place {
  readonly line: Line;
  turn: number;
  taken: number;
}

/**
 * Which runs begin next: the line with the lowest turn gives its first run and its turn grows by one, divided by its weight; equal turns go by rank. This is
 * start-time fair queuing (Goyal, Vin and Cheng 1996) with every run counted as one: a line of a thousand and a line of one each get a turn in a round.
 *
 * @example choose([{ line: 'a', turn: 0, weight: 1, heads, more: false, room: 9 }], 1).runIds // the first of heads
 */
export function choose(lines: readonly Line[], count: number): Choice {
  const places = lines.map((line): Place => ({ line, turn: line.turn, taken: 0 }));
  const runIds: string[] = [];
  const turns = new Map<string, number>();
  let turn: number | undefined;
  let incomplete = false;
  while (runIds.length < count && !incomplete) {
    const next = first(places);
    if (!next) break;
    const head = next.line.heads[next.taken];
    if (!head) {
      incomplete = true;
      break;
    }
    runIds.push(head.runId);
    turn = next.turn;
    next.taken++;
    next.turn += 1 / next.line.weight;
    turns.set(next.line.line, next.turn);
  }
  return { runIds, turns, turn, incomplete };
}

/** The place whose turn it is; one without a known head counts when there are more behind it. */
function first(places: readonly Place[]): Place | undefined {
  let best: Place | undefined;
  for (const place of places) {
    const { heads, room, more } = place.line;
    if (place.taken >= room || (place.taken >= heads.length && !more)) continue;
    if (!best || place.turn < best.turn || (place.turn === best.turn && rankOf(place) < rankOf(best)))
      best = place;
  }
  return best;
}

/** An unknown head lies behind those known of its line; taken as the first among equals, it stops the choice rather than bends it. */
function rankOf({ line, taken }: Place): number {
  return line.heads[taken]?.rank ?? Number.NEGATIVE_INFINITY;
}

/** What the bounds of a queue leave free. */
export function freeSlots(bounds: {
  concurrency: number | undefined;
  admitted: number;
  rateLimit: number | undefined;
  started: number;
  room: number;
}): number {
  const { concurrency, admitted, rateLimit, started, room } = bounds;
  const slots = concurrency === undefined ? Number.POSITIVE_INFINITY : concurrency - admitted;
  const tokens = rateLimit === undefined ? Number.POSITIVE_INFINITY : rateLimit - started;
  return Math.max(0, Math.min(slots, tokens, room));
}

/** A line as one sees it who asks for a place: how many wait in it, and the rank of its first. */
export interface LineView {
  readonly turn: number;
  readonly weight: number;
  readonly pending: number;
  readonly rank: number;
}

/**
 * How many runs are before the n-th of a line (from 0), if nothing comes or goes: the other lines have as many turns before its own as their turns and weights give.
 * Of equal turns the ranks decide; of those behind the first of a line they are taken to be like it.
 */
export function runsAhead(
  own: { turn: number; weight: number; index: number; rank: number },
  others: readonly LineView[],
): number {
  const ownTurn = own.turn + own.index / own.weight;
  return others.reduce((sum, { turn, weight, pending, rank }) => {
    const turns = (ownTurn - turn) * weight;
    const before = rank < own.rank ? Math.floor(turns) + 1 : Math.ceil(turns);
    return sum + Math.min(pending, Math.max(0, before));
  }, own.index);
}
