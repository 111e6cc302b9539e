import { createHash } from 'node:crypto';
import type { JsonObject } from '../../kernel/json.ts';
import type { Database } from '../../store/database.ts';
import { plannedLane } from '../../store/lane.ts';
import { columns } from '../../store/rows.ts';
import type { Entry, Origin, PayloadRef, RunChange, RunResult, Signal } from './stored-run.ts';

/** A value that lies apart, for the run that refers to it. */
export interface Payload {
  readonly runId: string;
  readonly digest: string;
  readonly text: string;
}

/** A change of a run as it is written: JSON texts, made once, and the large values that they only refer to. */
export interface PackedChange {
  readonly change: RunChange;
  readonly entries: string;
  readonly origin: string | null;
  readonly result: string | null;
  readonly payloads: readonly Payload[];
}

/** A JSON text of so many UTF-16 units has at most three times as many bytes. */
const UNIT_BYTES_MAX = 3;
/** A payload that nothing refers to is kept for so long after it was last written: a commit under way may be about to refer to it. */
const UNUSED_MINUTES = 60;
const SWEEP_MAX = 1_000;

/**
 * Values over `inlineMax` bytes of JSON go by digest into a table of their own, once however many steps hold them (the claim check
 * pattern; Hohpe and Woolf, Enterprise Integration Patterns): rows stay small, and a run that is taken up reads a value only when its flow asks for it.
 * Entries of the interpreter's own (a `^` in the key) stay whole.
 */
export function pack(change: RunChange, inlineMax: number): PackedChange {
  const payloads: Payload[] = [];
  const apart = (value: unknown): PayloadRef | undefined => {
    const text = JSON.stringify(value);
    const ref = text === undefined ? undefined : refOf(text, inlineMax);
    if (ref) payloads.push({ runId: change.id, digest: ref.digest, text });
    return ref;
  };
  const packed = {
    change,
    entries: textOf(change.entries, inlineMax, (entries) => entries.map((entry) => packEntry(entry, apart))),
    origin: change.insert ? packOrigin(change.origin, inlineMax, apart) : null,
    result: change.result === null ? null : packResult(change.result, inlineMax, apart),
    payloads,
  };
  return packed;
}

/** The reference to a text that is too large to stand where it is. */
function refOf(text: string, inlineMax: number): PayloadRef | undefined {
  if (text.length * UNIT_BYTES_MAX <= inlineMax) return undefined;
  const bytes = Buffer.byteLength(text);
  return bytes <= inlineMax ? undefined : { digest: createHash('sha256').update(text).digest('hex'), bytes };
}

type Apart = (value: unknown) => PayloadRef | undefined;

/** The text of a value; only one that is large as a whole is looked into. */
function textOf<T>(value: T, inlineMax: number, smaller: (value: T) => unknown): string {
  const text = JSON.stringify(value);
  return text.length * UNIT_BYTES_MAX <= inlineMax ? text : JSON.stringify(smaller(value));
}

function packEntry(entry: Entry, apart: Apart): Entry {
  if (entry.k.includes('^')) return entry;
  const { o, i, ...rest } = entry;
  const [or, ir] = [apart(o), apart(i)];
  if (!or && !ir) return entry;
  const packed: Entry = rest;
  if (or) packed.or = or;
  else if (o !== undefined) packed.o = o;
  if (ir) packed.ir = ir;
  else if (i !== undefined) packed.i = i;
  return packed;
}

/** The input of a run that an event started is that event: it is not written twice. */
function packOrigin(origin: Origin, inlineMax: number, apart: Apart): string {
  const { input, ...rest } = origin;
  if (origin.event) return JSON.stringify(rest);
  return textOf({ input, ...rest }, inlineMax, (whole) => {
    const inputRef = apart(input);
    return inputRef ? { inputRef, ...rest } : whole;
  });
}

function packResult(result: RunResult, inlineMax: number, apart: Apart): string {
  return textOf(result, inlineMax, (whole) => {
    const outputRef = apart(result.output);
    return outputRef ? { ...whole, output: undefined, outputRef } : whole;
  });
}

/** A signal as it is written. */
export interface PackedSignal {
  readonly runId: string;
  readonly key: string;
  readonly text: string;
  readonly payload: Payload | undefined;
}

export function packSignal({ runId, key, payload }: Signal, inlineMax: number): PackedSignal {
  const text = JSON.stringify(payload);
  const ref = refOf(text, inlineMax);
  if (!ref) return { runId, key, text, payload: undefined };
  return { runId, key, text: JSON.stringify({ [REF]: ref }), payload: { runId, digest: ref.digest, text } };
}

/** No signal of ours has a member of this name: it says that the payload lies apart. */
const REF = '^payload';

export function signalRef(payload: unknown): PayloadRef | undefined {
  return (payload as JsonObject | null)?.[REF] as PayloadRef | undefined;
}

/** In the order of digests, so that two writers cannot deadlock. */
export function payloadStatements(payloads: readonly Payload[]): { text: string; values: unknown[] }[] {
  if (payloads.length === 0) return [];
  const sorted = [...payloads].sort((a, b) => (a.digest < b.digest ? -1 : 1));
  const distinct = sorted.filter(({ digest }, index) => digest !== sorted[index - 1]?.digest);
  return [
    {
      text: `insert into workflow_payloads (digest, body) select * from unnest($1::text[], $2::json[])
             on conflict (digest) do update set used_at = now()`,
      values: columns(distinct, ({ digest, text }) => [digest, text]),
    },
    {
      // A signal may be sent to a run that is there no more: it goes nowhere, and so does its payload.
      text: `insert into workflow_payload_refs select c.* from unnest($1::text[], $2::text[]) as c(run_id, digest)
             where exists (select from workflow_runs r where r.id = c.run_id) on conflict do nothing`,
      values: columns(sorted, ({ runId, digest }) => [runId, digest]),
    },
  ];
}

/** After the runs, whose rows the references point to. */
export const payloadLane = plannedLane<Payload>({
  name: 'workflow.payloads',
  order: 19,
  plan: (payloads) => ({ statements: payloadStatements(payloads) }),
});

/** Large values by digest: each is read once. */
export async function readPayloads(
  db: Database,
  refs: readonly PayloadRef[],
): Promise<ReadonlyMap<string, unknown>> {
  if (refs.length === 0) return new Map();
  const rows = await db.query<{ digest: string; body: unknown }>(
    'select digest, body from workflow_payloads where digest = any($1)',
    [[...new Set(refs.map(({ digest }) => digest))]],
  );
  return new Map(rows.map(({ digest, body }) => [digest, body]));
}

/**
 * Deletes payloads that no run refers to any more; answers with how many. A commit that refers to one meanwhile has moved its `used_at`,
 * which is asked again once its row is locked.
 */
export async function sweepPayloads(db: Database): Promise<number> {
  const old = `used_at < now() - interval '${UNUSED_MINUTES} minutes'`;
  const rows = await db.query(
    `delete from workflow_payloads where ${old} and digest in (
       select p.digest from workflow_payloads p
       where p.${old} and not exists (select from workflow_payload_refs f where f.digest = p.digest)
       order by p.used_at limit ${SWEEP_MAX}) returning digest`,
  );
  return rows.length;
}
