import { isObject, type Json, type JsonObject } from '../../kernel/json.ts';
import { compileSchema, pointerNames } from '../../kernel/schema.ts';
import type { Compiler } from './compile.ts';

/** What is written out is held to the primitive's schema now; what expressions give, when the step runs. */
export function checkStaticInput(
  compiler: Compiler,
  schema: JsonObject,
  input: JsonObject,
  path: string,
): void {
  const issues = compiler.try(path, () => compileSchema(schema))?.(input) ?? [];
  for (const issue of issues) {
    if (!compiler.isStatic(valueAt(input, issue.path))) continue;
    compiler.fault(path + issue.path, issue.message, issue.expected);
  }
}

/** What stands at a JSON Pointer, or nothing. */
function valueAt(input: JsonObject, pointer: string): Json {
  let value: Json | undefined = input;
  for (const name of pointerNames(pointer)) {
    value = isObject(value) ? value[name] : Array.isArray(value) ? value[Number(name)] : undefined;
  }
  return value ?? null;
}
