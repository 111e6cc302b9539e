import { isObject, type Json, type JsonObject } from '../../kernel/json.ts';
import { equal } from '../language/event-filter.ts';
import type { StepNode } from '../language/flow.ts';
import type { Scope } from '../language/templates.ts';
import type { Branch } from './branch.ts';
import type { Frame } from './frame.ts';
import type { Journal } from './journal.ts';

/**
 * A `fork` step: the output is the list of its branches', or that of the first to end when they compete. Each branch has the context that was there
 * before; what they export is joined behind it.
 */
export async function fork(
  { branches, compete }: StepNode & { type: 'fork' },
  key: string,
  journal: Journal,
  scope: Scope,
  frame: Frame,
  run: (step: StepNode, inner: Frame) => Promise<Json>,
): Promise<Json> {
  const { branch, extended } = frame;
  const before = frame.state.context;
  const frames = branches.map(() => ({ state: { context: before }, ended: false }));
  const bodies = branches.map((step, index) => async (own: Branch) => {
    const mine = frames[index]!;
    const inner: Frame = {
      prefix: `${key}/`,
      vars: scope,
      branch: own,
      extended,
      ...mine,
      next: 'continue',
    };
    const output = await run(step, inner);
    mine.ended = inner.ended;
    return output;
  });
  if (compete) {
    const { winner, value } = await journal.race(key, branch, bodies);
    leave(frame, frames[winner]!.state.context, frames[winner]!.ended, journal);
    return value;
  }
  const outputs = await journal.all(key, branch, bodies);
  const after = frames.map(({ state }) => state.context);
  const ended = frames.some((mine) => mine.ended);
  leave(frame, joinContexts(before, after), ended, journal);
  return outputs;
}

function leave(frame: Frame, context: Json, ended: boolean, journal: Journal): void {
  frame.state.context = context;
  frame.ended ||= ended;
  journal.exported(context);
}

/**
 * The context behind parallel branches: what each changed of the one before, in the order of the branches. A branch that takes over what it found
 * does not undo what another made of it.
 *
 * @example joinContexts({ n: 0 }, [{ n: 5 }, { n: 0, a: 1 }]) // { n: 5, a: 1 }
 */
function joinContexts(before: Json, after: readonly Json[]): Json {
  return after.reduce((joined, context) => join(before, joined, context) ?? null, before);
}

/** Undefined is a member that is not there. */
function join(before: Json | undefined, joined: Json | undefined, own: Json | undefined): Json | undefined {
  if (own === before || (own !== undefined && before !== undefined && equal(own, before))) return joined;
  if (!isObject(own) || !isObject(joined)) return own;
  const was = isObject(before) ? before : {};
  const names = [...new Set([...Object.keys(joined), ...Object.keys(own)])];
  return Object.fromEntries(
    names.flatMap((name) => {
      const value = join(memberOf(was, name), memberOf(joined, name), memberOf(own, name));
      return value === undefined ? [] : [[name, value]];
    }),
  );
}

function memberOf(of: JsonObject, name: string): Json | undefined {
  return Object.hasOwn(of, name) ? of[name] : undefined;
}
