/** What of a filter is compared in SQL. */
interface PushedDown {
  type?: string;
  source?: string;
  subject?: string;
}

const COMPARISON =
  /^(?:event\.(?=type)|(?:event\.)?(?!type))(type|source|subject)\s*==\s*(?:'([^'"\\]*)'|"([^'"\\]*)")$/;

/**
 * The comparisons of `type`, `source` and `subject` with a text that all of a CEL filter depends on: those that stand alone between its outermost `&&`. Where it
 * holds an `||`, `?` or a comprehension outside of brackets, or one attribute twice, nothing is taken of it: the filter itself is tried on every event anyway.
 *
 * @example pushedDown("event.type == 'order.placed' && data.total > 10.0") // { type: 'order.placed' }
 */
export function pushedDown(filter: string): PushedDown {
  const parts = conjuncts(filter);
  const found: PushedDown = {};
  for (const part of parts ?? []) {
    const [, name, single, double] = COMPARISON.exec(part.trim()) ?? [];
    if (name === undefined) continue;
    const value = single ?? double!;
    const attribute = name as keyof PushedDown;
    if (found[attribute] !== undefined && found[attribute] !== value) return {};
    found[attribute] = value;
  }
  return found;
}

/** The texts between the outermost `&&`; nothing where something binds weaker than they do. */
function conjuncts(filter: string): string[] | undefined {
  const parts: string[] = [];
  let depth = 0;
  let from = 0;
  for (let at = 0; at < filter.length; at++) {
    const char = filter[at]!;
    if (char === "'" || char === '"') {
      const end = endOfText(filter, at);
      if (end === undefined) return undefined;
      at = end;
    } else if ('([{'.includes(char)) depth++;
    else if (')]}'.includes(char)) depth--;
    else if (depth > 0) continue;
    else if (filter.startsWith('||', at) || (char === '?' && filter[at - 1] !== '.')) return undefined;
    else if (filter.startsWith('&&', at)) {
      parts.push(filter.slice(from, at));
      from = at + 2;
      at++;
    }
  }
  parts.push(filter.slice(from));
  return parts;
}

/** Where a text ends; nothing for one with three quotes or escapes in it: those are left to CEL. */
function endOfText(filter: string, start: number): number | undefined {
  const quote = filter[start]!;
  if (filter.startsWith(quote.repeat(3), start) || /[rRbB]/.test(filter[start - 1] ?? '')) return undefined;
  const end = filter.indexOf(quote, start + 1);
  return end === -1 || filter.slice(start, end).includes('\\') ? undefined : end;
}
