import { isObject, type Json, type JsonObject } from '../../kernel/json.ts';
import { isOwnEvent } from '../../kernel/own-events.ts';
import { escapePointer } from '../../kernel/schema.ts';
import type { Mention } from '../../store/definition-kind.ts';

const NUMBERED = /^([a-z][a-z-]*):\d+@/;
/** The member of `with` that names what a primitive asks, and the kind of it. */
const ASKED: Readonly<Record<string, readonly [member: string, kind: string]>> = {
  features: ['service', 'feature-service'],
  infer: ['model', 'model'],
  chat: ['model', 'model'],
  embed: ['model', 'model'],
  decide: ['decision', 'decision'],
  connector: ['connector', 'connector'],
  'human-task': ['queue', 'queue'],
};

/**
 * What a flow names and asks for only when a run comes to it: services, models, tables, connectors with their operations, queues, flows, types of events. What an
 * expression makes is not known here and is left out.
 *
 * @example flowMentions({ do: [{ score: { call: 'infer:1@default', with: { model: 'risk' } } }] })
 * // [{ kind: 'model', name: 'risk', path: '/do/0/score/with/model' }]
 */
export function flowMentions(body: JsonObject): Mention[] {
  const mentions: Mention[] = [];
  const { schedule, do: steps, use } = body;
  if (isObject(schedule)) eventTypes(schedule.on, '/schedule/on', mentions);
  walk(steps, '/do', mentions);
  walk(isObject(use) ? use.functions : undefined, '/use/functions', mentions);
  return mentions;
}

function walk(value: Json | undefined, path: string, mentions: Mention[]): void {
  if (Array.isArray(value)) for (const [i, item] of value.entries()) walk(item, `${path}/${i}`, mentions);
  if (!isObject(value)) return;
  if (typeof value.call === 'string' && isObject(value.with))
    asked(value.call, value.with, `${path}/with`, mentions);
  if (isObject(value.run) && isObject(value.run.workflow))
    mention('workflow', value.run.workflow.name, `${path}/run/workflow/name`, mentions);
  if (isObject(value.listen)) eventTypes(value.listen.to, `${path}/listen/to`, mentions);
  if (isObject(value.emit)) eventTypes(value.emit, `${path}/emit`, mentions);
  for (const [name, inner] of Object.entries(value))
    if (name !== 'with') walk(inner, `${path}/${escapePointer(name)}`, mentions);
}

function asked(call: string, given: JsonObject, path: string, mentions: Mention[]): void {
  const [member = '', kind = ''] = ASKED[NUMBERED.exec(call)?.[1] ?? ''] ?? [];
  mention(kind, given[member], `${path}/${member}`, mentions);
  if (kind === 'connector' && isLiteral(given.operation))
    mention(kind, given[member], `${path}/operation`, mentions, ['operations', given.operation]);
  if (kind === 'decision' && isObject(given.input))
    for (const input of Object.keys(given.input))
      mention(kind, given[member], `${path}/input/${escapePointer(input)}`, mentions, ['inputs', input]);
}

/** The types of the filters of a strategy (`one`, `any`, `all`), and of an `event` that is emitted. */
function eventTypes(strategy: Json | undefined, path: string, mentions: Mention[]): void {
  if (!isObject(strategy)) return;
  for (const [how, filters] of Object.entries(strategy))
    (Array.isArray(filters) ? filters : [filters]).forEach((filter, i) => {
      const at = Array.isArray(filters) ? `${path}/${how}/${i}` : `${path}/${how}`;
      const type = isObject(filter) && isObject(filter.with) ? filter.with.type : undefined;
      if (isLiteral(type) && !isOwnEvent(type)) mention('contract', type, `${at}/with/type`, mentions);
    });
}

function mention(
  kind: string,
  name: Json | undefined,
  path: string,
  mentions: Mention[],
  member?: readonly [string, string],
): void {
  if (isLiteral(name)) mentions.push({ kind, name, path, ...(member && { member }) });
}

function isLiteral(value: Json | undefined): value is string {
  return typeof value === 'string' && value !== '' && !value.includes('${');
}
