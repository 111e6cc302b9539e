import { isObject, type Json, type JsonObject } from '../../kernel/json.ts';
import type { Compiler } from './compile.ts';
import type { Kind } from './compile-steps.ts';
import type { ForEachItem, ListenNode, StepNode, Until } from './flow.ts';

export type Nested = (list: Json | undefined, at: string) => StepNode[];

export function compileListen(
  compiler: Compiler,
  body: JsonObject,
  path: string,
  nested: Nested,
): Kind & ListenNode {
  const { to, read = 'data' } = body.listen as { to: JsonObject; read?: ListenNode['read'] };
  const at = `${path}/listen/to`;
  const { mode, filters } = compiler.filters(to, at);
  const until = mode === 'any' ? compileUntil(compiler, to.until, `${at}/until`) : undefined;
  for (const { type } of [...filters, ...(until?.filters ?? [])]) compiler.listensFor.add(type);
  const foreach = compileForEach(compiler, body.foreach, path, '/foreach', nested);
  return { type: 'listen', mode, filters, read, until, foreach };
}

/** The specification ignores `until` beside `one` and `all` (dsl-reference.md, "Event Consumption Strategy"). */
function compileUntil(compiler: Compiler, until: Json | undefined, path: string): Until | undefined {
  if (until === undefined) return undefined;
  if (isObject(until)) return { condition: undefined, ...compiler.filters(until, path) };
  return { condition: compiler.condition(until, path), mode: 'any', filters: [] };
}

/** The iteration over what a subscription takes (dsl-reference.md, "Subscription Iterator"); `at` is its place in the step. */
export function compileForEach(
  compiler: Compiler,
  value: Json | undefined,
  path: string,
  at: string,
  nested: Nested,
): ForEachItem | undefined {
  if (!isObject(value)) return undefined;
  const place = path + at;
  const { outputAs, outputSchema } = compiler.data({ output: value.output ?? {} }, place);
  const exported = isObject(value.export) ? value.export : {};
  const [item, index] = compiler.loop(value.item, value.at, [`${place}/item`, `${place}/at`]);
  return {
    item,
    at: index,
    steps: nested(value.do, `${at}/do`),
    outputAs,
    outputSchema,
    exportAs: compiler.bare(exported.as, `${place}/export/as`),
    exportSchema: compiler.schema(exported.schema, `${place}/export/schema`),
  };
}
