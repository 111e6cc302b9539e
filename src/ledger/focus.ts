import type { Database } from '../store/database.ts';
import { timestamp } from '../store/rows.ts';

/** Which charges are exported; all of them when left out. */
export interface FocusPeriod {
  /** Milliseconds; charges at or after it. */
  sinceMs?: number | undefined;
  /** Milliseconds; charges before it. */
  untilMs?: number | undefined;
  runId?: string | undefined;
}

interface Charge {
  run_id: string;
  step_key: string;
  service: string;
  resource: string;
  quantity: number;
  unit: string;
  amount: number;
  at: number;
  tags: unknown;
  flow: string | null;
}

const PAGE_ROWS = 1_000;
const SECOND_MS = 1000;
const PROVIDER = 'AIOS';
/** FOCUS 1.2, ServiceCategory: of its closed list. */
const CATEGORIES: Readonly<Record<string, string>> = {
  inference: 'AI and Machine Learning',
  'language-model': 'AI and Machine Learning',
  training: 'AI and Machine Learning',
  connector: 'Integration',
};

/** The columns of FOCUS 1.2 (focus.finops.org) that apply, in the order of its names, then our own (`x_`). */
const COLUMNS: Readonly<Record<string, (charge: Charge) => string | number | null>> = {
  BilledCost: dollars,
  BillingAccountId: () => PROVIDER,
  BillingAccountName: () => PROVIDER,
  BillingCurrency: () => 'USD',
  BillingPeriodEnd: ({ at }) => instant(monthOf(at, 1)),
  BillingPeriodStart: ({ at }) => instant(monthOf(at, 0)),
  ChargeCategory: () => 'Usage',
  ChargeClass: () => null,
  ChargeDescription: ({ service, resource }) => `${service} of ${resource}`,
  ChargeFrequency: () => 'Usage-Based',
  ChargePeriodEnd: ({ at }) => instant(at + SECOND_MS),
  ChargePeriodStart: ({ at }) => instant(at),
  ConsumedQuantity: ({ quantity }) => decimal(quantity),
  ConsumedUnit: ({ unit }) => unit,
  ContractedCost: dollars,
  EffectiveCost: dollars,
  InvoiceIssuerName: () => PROVIDER,
  ListCost: dollars,
  PricingCategory: () => 'Standard',
  PricingQuantity: ({ quantity }) => decimal(quantity),
  PricingUnit: ({ unit }) => unit,
  ProviderName: () => PROVIDER,
  PublisherName: () => PROVIDER,
  ResourceId: ({ resource }) => resource,
  ServiceCategory: ({ service }) => CATEGORIES[service] ?? 'Other',
  ServiceName: ({ service }) => service,
  SubAccountId: ({ flow }) => flow,
  SubAccountName: ({ flow }) => flow,
  Tags: ({ tags }) => (tags === null ? null : JSON.stringify(tags)),
  x_RunId: ({ run_id }) => run_id || null,
  x_StepKey: ({ step_key }) => step_key || null,
};

/**
 * Every charge of a period as CSV (RFC 4180) in the columns of FOCUS 1.2, in the order of the runs; read a thousand rows at a time.
 *
 * @example for await (const text of focusCsv(db, { runId: 'run_…' })) process.stdout.write(text)
 */
export async function* focusCsv(
  db: Database,
  { sinceMs, untilMs, runId }: FocusPeriod,
): AsyncGenerator<string> {
  yield `${Object.keys(COLUMNS).join(',')}\r\n`;
  const time = (ms: number | undefined) => (ms === undefined ? null : timestamp(ms));
  let after: readonly string[] = ['', '', '', ''];
  for (;;) {
    // Along the primary key, which begins with the run and so with its time.
    const page: Charge[] = await db.query<Charge>(
      `select c.run_id, c.step_key, c.service, c.resource, c.quantity, c.unit, c.amount_micro_usd as amount, c.at, c.tags, f.name as flow
       from (select * from cost_entries where (run_id, step_key, service, resource) > ($1, $2, $3, $4)
         and ($5::text is null or run_id = $5) and ($6::timestamptz is null or at >= $6) and ($7::timestamptz is null or at < $7)
         order by run_id, step_key, service, resource limit ${PAGE_ROWS}) c
       left join lineage_runs l on l.run_id = c.run_id left join lineage_sets s on s.digest = l.pins
       left join lateral (select pin->>'name' as name from json_array_elements(s.pins) pin where pin->>'kind' = 'workflow' limit 1) f on true
       order by c.run_id, c.step_key, c.service, c.resource`,
      [...after, runId ?? null, time(sinceMs), time(untilMs)],
    );
    if (page.length > 0) yield page.map(line).join('');
    const last = page.at(-1);
    if (!last || page.length < PAGE_ROWS) return;
    after = [last.run_id, last.step_key, last.service, last.resource];
  }
}

function line(charge: Charge): string {
  return `${Object.values(COLUMNS)
    .map((column) => cell(column(charge)))
    .join(',')}\r\n`;
}

function cell(value: string | number | null): string {
  const text = value === null ? '' : String(value);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/** Millionths of a dollar, without the rounding of a float. */
function dollars({ amount }: Charge): string {
  const [sign, whole] = amount < 0 ? ['-', -amount] : ['', amount];
  return `${sign}${Math.floor(whole / 1e6)}.${String(whole % 1e6).padStart(6, '0')}`;
}

/** Not below a thousandth, and never as 1e-7: a decimal is what FOCUS asks for. */
function decimal(quantity: number): string {
  return String(Number(quantity.toFixed(3)));
}

/** ISO 8601 in UTC, to the second. */
function instant(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 19)}Z`;
}

function monthOf(ms: number, monthsLater: number): number {
  const date = new Date(ms);
  return Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + monthsLater, 1);
}
