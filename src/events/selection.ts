import type { CloudEvent } from '../kernel/cloudevent.ts';
import { AiosError } from '../kernel/errors.ts';
import { compileExpression } from '../kernel/expressions.ts';

/** Which events somebody wants: of any of these types, for which the expression is true. All when both are left out. */
export interface Selection {
  readonly types?: readonly string[] | undefined;
  /** CEL over the attributes of the event by their names, its `data`, and all of it as `event`. */
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
  const expression = filter === undefined ? undefined : compileExpression(filter);
  return (event) => {
    if (wanted && !wanted.has(event.type)) return false;
    if (!expression) return true;
    try {
      return expression(Object.assign(Object.create(null), event, { event })) === true;
    } catch (error) {
      if (error instanceof AiosError && error.code === 'expression.failed') return false;
      throw error;
    }
  };
}
