import { isObject, type Json } from '../../kernel/json.ts';
import { escapePointer } from '../../kernel/schema.ts';
import type { Compiler } from './compile.ts';
import type { AttributeType, FlowAttribute, Lifecycle } from './flow.ts';

const AT = '/document/metadata/aios';
/** Each is a row for each run, and a look-up by it. */
const ATTRIBUTES_MAX = 20;
/** No dot: `attr.total.gte` names the attribute and what is asked of it. */
const NAME = /^[A-Za-z][A-Za-z0-9_]{0,62}$/;
const TYPES: readonly string[] = ['text', 'number', 'boolean', 'time'] satisfies AttributeType[];

/** `attributes: { orderId: input.orderId, paidAt: { value: context.paidAt, type: time } }`: expressions over input, event, context and output. */
export function compileAttributes(compiler: Compiler, declared: Json | undefined): FlowAttribute[] {
  const path = `${AT}/attributes`;
  if (declared === undefined) return [];
  if (!isObject(declared)) {
    compiler.fault(path, 'attributes are names with expressions', 'orderId: input.orderId');
    return [];
  }
  const names = Object.keys(declared);
  if (names.length > ATTRIBUTES_MAX)
    compiler.fault(path, `${names.length} attributes`, `at most ${ATTRIBUTES_MAX}`);
  return names.flatMap((name) => {
    const at = `${path}/${escapePointer(name)}`;
    if (!NAME.test(name))
      compiler.fault(at, `“${name}” is not a name of an attribute`, 'letters, digits and _');
    const given = declared[name];
    const { value, type } = isObject(given) ? given : { value: given, type: undefined };
    if (type !== undefined && !TYPES.includes(type as string)) {
      compiler.fault(`${at}/type`, `“${type}” is not a type of an attribute`, TYPES.join(', '));
    }
    if (value === undefined) compiler.fault(at, 'an attribute needs a value', 'value: input.orderId');
    const template = compiler.bare(value, at);
    return template ? [{ name, type: type as AttributeType | undefined, value: template }] : [];
  });
}

/** `retention: P30D`. */
export function compileRetention(compiler: Compiler, declared: Json | undefined): number | undefined {
  return compiler.duration(declared, `${AT}/retention`);
}

const LIFECYCLE = 'true, runs, false or { steps: false, statusChanged: true }';

/** `lifecycle: true`, `runs`, or an object whose `steps` (yes unless it says no) and `statusChanged` (no) say which events are published. */
export function compileLifecycle(compiler: Compiler, declared: Json | undefined): Lifecycle | undefined {
  if (declared === undefined || declared === false) return undefined;
  if (declared === true || declared === 'runs') return { steps: declared === true, statusChanged: false };
  const path = `${AT}/lifecycle`;
  if (!isObject(declared)) {
    compiler.fault(path, `“${declared}” is not known`, LIFECYCLE);
    return undefined;
  }
  const { steps = true, statusChanged = false, ...others } = declared;
  for (const name of Object.keys(others))
    compiler.fault(`${path}/${escapePointer(name)}`, `“${name}” is not known`, LIFECYCLE);
  for (const [name, value] of Object.entries({ steps, statusChanged }))
    if (typeof value !== 'boolean') compiler.fault(`${path}/${name}`, 'neither true nor false', LIFECYCLE);
  return { steps: steps === true, statusChanged: statusChanged === true };
}
