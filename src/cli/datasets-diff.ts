import type { Json, JsonObject } from '../kernel/json.ts';
import type { Action } from './command-row.ts';
import { pathOf, versionText } from './datasets.ts';
import { EXIT, print, table } from './output.ts';
import { openClient } from './session.ts';

interface Column {
  name: string;
  type: string;
  role: string;
}

interface Diff {
  from: { version: number; rows: number };
  to: { version: number; rows: number };
  schema: { added: Column[]; removed: Column[]; changed: { from: Column; to: Column }[] };
  rows: {
    added: number;
    removed: number;
    changed: number;
    unchanged: number;
    columns: Record<string, number>;
    examples: { change: string; key: JsonObject; columns?: Record<string, [Json, Json]> }[];
  };
  shifts: {
    column: string;
    psi: number | null;
    nullShare: [number, number];
    distinct: [number, number];
    mean?: [number, number];
  }[];
}

/** `aios datasets diff NAME FROM TO` */
export const diff: Action = async (options, [name, from, to]) => {
  const client = await openClient(options);
  const query = { from: versionText('<from>', from), to: versionText('<to>', to) };
  const answer = await client.request<Diff>('GET', `${pathOf(name!)}/diff`, { query });
  const isSame =
    answer.rows.added + answer.rows.removed + answer.rows.changed === 0 && schemaOf(answer).length === 0;
  print(answer, options.json, () => describe(name!, answer, isSame));
  return isSame ? EXIT.ok : EXIT.changes;
};

function describe(name: string, diff: Diff, isSame: boolean): string {
  const { from, to, rows, shifts } = diff;
  const heading = `${name} ${from.version} (${count(from.rows)} rows) and ${to.version} (${count(to.rows)} rows)`;
  if (isSame) return `${heading} are the same.`;
  const columns = Object.entries(rows.columns).map(([column, number]) => `${column} in ${count(number)}`);
  return [
    heading,
    ...schemaOf(diff),
    `${count(rows.added)} rows added, ${count(rows.removed)} removed, ${count(rows.changed)} changed, ${count(rows.unchanged)} the same`,
    ...(columns.length > 0 ? [`Changed: ${columns.join(', ')} rows`] : []),
    ...rows.examples.map(exampleOf),
    '',
    table(
      ['column', 'psi', '', 'mean', 'nulls', 'distinct'],
      shifts
        .toSorted((a, b) => (b.psi ?? -1) - (a.psi ?? -1))
        .map(({ column, psi, nullShare, distinct, mean }) => [
          column,
          psi === null ? '' : short(psi),
          psi === null || psi < 0.1 ? '' : psi < 0.25 ? 'small shift' : 'large shift',
          mean ? arrow(mean.map(short)) : '',
          arrow(nullShare.map((share) => `${short(share * 100)} %`)),
          arrow(distinct.map(count)),
        ]),
    ),
  ].join('\n');
}

function schemaOf({ schema: { added, removed, changed } }: Diff): string[] {
  return [
    ...added.map(({ name, type, role }) => `+ ${name}: ${type} (${role})`),
    ...removed.map(({ name, type, role }) => `- ${name}: ${type} (${role})`),
    ...changed.map(({ from, to }) => `~ ${from.name}: ${from.type} (${from.role}) → ${to.type} (${to.role})`),
  ];
}

function exampleOf({ change, key, columns = {} }: Diff['rows']['examples'][number]): string {
  const sign = change === 'added' ? '+' : change === 'removed' ? '-' : '~';
  const keys = Object.values(key).map(String).join(' ');
  const values = Object.entries(columns).map(
    ([column, [before, after]]) => `${column} ${JSON.stringify(before)} → ${JSON.stringify(after)}`,
  );
  return `  ${sign} ${keys}${values.length > 0 ? `: ${values.join(', ')}` : ''}`;
}

function arrow([before, after]: string[]): string {
  return before === after ? before! : `${before} → ${after}`;
}

function short(value: number): string {
  return String(Number(value.toPrecision(3)));
}

function count(value: number): string {
  return value.toLocaleString('en');
}
