import type { Json, JsonObject } from '../kernel/json.ts';
import { numberText, table } from './output.ts';
import { exampleOfSchema } from './schema-example.ts';

/** A task as its text needs it. */
export interface ToldTask {
  id: string;
  title: string;
  status: string;
  claimedBy?: string;
  owner?: string;
  context: JsonObject;
  instructions?: string;
  form: JsonObject;
  suggestion?: Json;
  result?: Json;
}

const ENDED = new Set(['completed', 'expired', 'canceled']);

/** What somebody at a terminal must know to answer a task: what is asked, what is known, what the answer consists of, and the command that gives it. */
export function taskText(task: ToldTask): string {
  const { title, status, claimedBy, owner, context, instructions, suggestion, result } = task;
  const hands = claimedBy ? ` by ${claimedBy}${owner ? ` for ${owner}` : ''}` : '';
  const known = Object.entries(context).map(([name, value]) => [name, textOf(value)]);
  const isOpen = !ENDED.has(status);
  return [
    `${title}  (${status}${hands})`,
    ...(isOpen && instructions ? [`${instructions.trim()}\n`] : []),
    ...(known.length > 0 ? [table(['what is known', ''], known)] : []),
    ...(isOpen && suggestion !== undefined ? [`\nSuggested: ${JSON.stringify(suggestion)}`] : []),
    ...(isOpen ? [`\n${asked(task)}`] : []),
    ...(result === undefined ? [] : [`\nThe answer: ${JSON.stringify(result)}`]),
  ].join('\n');
}

function asked({ id, status, form }: ToldTask): string {
  const required = (form.required as string[] | undefined) ?? [];
  const fields = Object.entries((form.properties ?? {}) as Record<string, JsonObject>).map(
    ([name, { title, ...schema }]) => [
      name,
      takes(schema),
      required.includes(name) ? '' : 'may be left out',
      String(title ?? ''),
    ],
  );
  const answer = exampleOfSchema(form);
  const given =
    answer === undefined ? 'ANSWER' : `'${JSON.stringify(answer).replaceAll("'", String.raw`'\''`)}'`;
  return [
    ...(fields.length > 0 ? [table(['answer', 'takes', '', ''], fields), ''] : []),
    `To answer: aios inbox ${id} ${status === 'open' ? '--claim ' : ''}--complete ${given}`,
  ].join('\n');
}

/** What a field of a form takes, in a few words: its choices, or its type. */
function takes({ enum: choices, const: only, type }: JsonObject): string {
  if (only !== undefined) return textOf(only);
  if (Array.isArray(choices)) return choices.map(textOf).join(' or ');
  const types = [type ?? 'anything'].flat().map(String);
  return types.map((one) => TYPES[one] ?? one).join(' or ');
}

const TYPES: Readonly<Record<string, string>> = {
  string: 'text',
  integer: 'whole number',
  boolean: 'true or false',
  array: 'list',
  null: 'nothing',
};

function textOf(value: Json): string {
  if (typeof value === 'number') return numberText(value);
  return typeof value === 'string' ? value : JSON.stringify(value);
}
