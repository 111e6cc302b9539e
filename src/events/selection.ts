import type { CloudEvent } from '../kernel/cloudevent.ts';
import { AiosError } from '../kernel/errors.ts';
import { compileExpression, type Expression } from '../kernel/expressions.ts';

/** Which events somebody wants: of any of these types, for which the expression is true. All when both are left out. */
export interface Selection {
  readonly types?: readonly string[] | undefined;
  /** CEL over the attributes of the event by their names, its `data`, and all of it as `event`; its type is `event.type`. */
  readonly filter?: string | undefined;
}

/**
 * Compiles a selection. An event on which the expression fails, because it has no such field, is not selected: an event log holds events of many shapes.
 *
 * @throws AiosError `expression.syntax`
 * @example compileSelection({ types: ['order.placed'], filter: 'data.total > 100.0' })(event) // true
 */
export function compileSelection({ types, filter }: Selection): (event: CloudEvent) => boolean {
  const wanted = types && new Set(types);
  const expression = filter === undefined ? undefined : compileFilter(filter);
  return (event) => {
    if (wanted && !wanted.has(event.type)) return false;
    if (!expression) return true;
    try {
      return expression({ ...event, event }) === true;
    } catch (error) {
      if (error instanceof AiosError && error.code === 'expression.failed') return false;
      throw error;
    }
  };
}

/** `type` by itself is a name of CEL (the type of types), so that a comparison with it selects nothing: it is refused rather than never true. */
function compileFilter(filter: string): Expression {
  const withoutTexts = filter.replace(/'[^']*'|"[^"]*"/g, "''");
  if (/(?<![.\w])type(?!\s*\(|\w)/.test(withoutTexts))
    throw new AiosError('expression.syntax', {
      detail: `${filter}: \`type\` is a name of CEL itself; write event.type.`,
    });
  return compileExpression(filter);
}
