import type { CloudEvent } from '../kernel/cloudevent.ts';
import { AiosError } from '../kernel/errors.ts';
import { answerTypeOf, compileExpression, type Expression } from '../kernel/expressions.ts';
import type { Json } from '../kernel/json.ts';

/** Which events somebody wants: of any of these types, for which the expression is true. All when both are left out. */
export interface Selection {
  readonly types?: readonly string[] | undefined;
  /** CEL over the attributes of the event by their names, its `data`, and all of it as `event`; its type is `event.type`. */
  readonly filter?: string | undefined;
}

/** Who asks: a person who waits for the answer is told what an unattended reader leaves out. */
interface Reader {
  readonly isWaiting?: boolean;
}

/**
 * Compiles a selection. An event on which the expression fails, because it has no such field, is not selected: an event log holds events of many shapes. Nor is one
 * for which it answers something else than true or false, unless somebody waits.
 *
 * @throws AiosError `expression.syntax`, also for a filter whose text says that it never answers true or false; by what is returned, for a reader who waits,
 * `expression.failed` at an event for which it does not
 * @example compileSelection({ types: ['order.placed'], filter: 'data.total > 100.0' })(event) // true
 */
export function compileSelection(
  { types, filter }: Selection,
  { isWaiting = false }: Reader = {},
): (event: CloudEvent) => boolean {
  const wanted = types && new Set(types);
  const expression = filter === undefined ? undefined : compileFilter(filter);
  return (event) => {
    if (wanted && !wanted.has(event.type)) return false;
    if (!expression) return true;
    const answer = answerOf(expression, event);
    if (isWaiting && answer !== null && typeof answer !== 'boolean') {
      throw new AiosError('expression.failed', {
        detail: `${filter} is ${JSON.stringify(answer).slice(0, 60)} for the event ${event.id}, and a filter says true or false: compare it with something.`,
      });
    }
    return answer === true;
  };
}

/** Null where the expression cannot work on the event. */
function answerOf(expression: Expression, event: CloudEvent): Json {
  try {
    return expression({ ...event, event });
  } catch (error) {
    if (error instanceof AiosError && error.code === 'expression.failed') return null;
    throw error;
  }
}

function compileFilter(filter: string): Expression {
  const expression = compileExpression(filter);
  if (!filters.has(expression)) requireFilter(filter);
  filters.add(expression);
  return expression;
}

/** Looked at already: an expression is the same for the same text, and a webhook's is compiled for each batch. */
const filters = new WeakSet<Expression>();

/** `type` by itself is a name of CEL (the type of types), so that a comparison with it selects nothing: it is refused rather than never true. */
function requireFilter(filter: string): void {
  const withoutTexts = filter.replace(/'[^']*'|"[^"]*"/g, "''");
  if (/(?<![.\w])type(?!\s*\(|\w)/.test(withoutTexts))
    throw new AiosError('expression.syntax', {
      detail: `${filter}: \`type\` is a name of CEL itself; write event.type.`,
    });
  const type = answerTypeOf(filter);
  if (type !== undefined && !MAY_BE_TRUE.test(type))
    throw new AiosError('expression.syntax', {
      detail: `${filter}: a filter says true or false, this one is of the type ${type}.`,
    });
}

const MAY_BE_TRUE = /^(bool|dyn|optional<(bool|dyn)>)$/;
