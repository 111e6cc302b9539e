// `npm run replay -- --orders FILE`: a year of a real retailer through the same path, at speed, in event time.
import { chmod, mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { type App, createApp } from '../../src/app/app.ts';
import { readProject } from '../../src/cli/projects.ts';
import { AiosClient } from '../../src/client/client.ts';
import { ManualClock } from '../../src/kernel/clock.ts';
import { limitsFrom } from '../../src/kernel/limits.ts';
import { formatUsd } from '../../src/kernel/money.ts';
import { Replay } from './replay-run.ts';
import { openRetail, type Retail } from './retail.ts';
import { SimulatedReviewers } from './reviewer.ts';
import { type OutsideSystem, startRefunds, startWarehouse } from './systems.ts';

const SEED = 1;
let lastSaid = '';
const { values } = parseArgs({
  options: {
    orders: { type: 'string' },
    keep: { type: 'string' },
    json: { type: 'boolean', default: false },
  },
});
if (values.orders) await main(values.orders).catch(fail);
else {
  console.error(
    'usage: npm run replay -- --orders FILE [--keep FOLDER] [--json]\n  FILE: CSV or .csv.gz of the form that examples/returns/README.md describes',
  );
  process.exitCode = 64;
}

/** One line says what is wrong; the stack is for who asks for it. */
function fail(error: Error): void {
  console.error(process.env.AIOS_LOG === 'debug' ? error : `\nThe replay stopped: ${error.message}`);
  process.exitCode = 1;
}

async function main(path: string): Promise<void> {
  const retail = openRetail(path); // before anything is started: there may be no such file
  const dataDir = values.keep ?? (await mkdtemp(join(tmpdir(), 'aios-replay-')));
  await mkdir(dataDir, { recursive: true });
  await chmod(dataDir, 0o755); // as root, Postgres runs as another user
  const clock = new ManualClock();
  const refunds = await startRefunds(join(dataDir, 'refunds.jsonl'), 200);
  const warehouse = await startWarehouse(join(dataDir, 'warehouse.jsonl'));
  Object.assign(process.env, {
    AIOS_VAR_REFUNDS_URL: refunds.url,
    AIOS_VAR_WAREHOUSE_URL: warehouse.url,
    AIOS_LOG: process.env.AIOS_LOG ?? 'error',
  });
  const app = await createApp({
    dataDir,
    host: '127.0.0.1',
    port: 0,
    limits: limitsFrom(process.env.AIOS_LIMITS),
    clock,
    onProgress: say,
  });
  try {
    const files = await readProject(import.meta.dirname);
    await app.apply(
      files.map(({ path: file, base64 }) => ({ path: file, bytes: Buffer.from(base64, 'base64') })),
    );
    app.ready();
    const client = new AiosClient({ baseUrl: app.url, key: app.adminKey });
    const reviewers = new SimulatedReviewers(client, clock, SEED);
    const replay = new Replay({ app, client, clock, retail, reviewers, onProgress: say });
    await replay.run();
    say('Verifying the audit log');
    const figures = await figuresOf(app, replay, reviewers, refunds, retail);
    say('');
    console.log(values.json ? JSON.stringify(figures) : describe(figures));
  } finally {
    await app.stop();
    await Promise.all([refunds.stop(), warehouse.stop()]);
    if (!values.keep) await rm(dataDir, { recursive: true, force: true });
  }
}

type Figures = Awaited<ReturnType<typeof figuresOf>>;

async function figuresOf(
  app: App,
  replay: Replay,
  reviewers: SimulatedReviewers,
  refunds: OutsideSystem,
  { counts }: Retail,
) {
  const requests = [...replay.requests.values()];
  const count = (test: (request: (typeof requests)[number]) => boolean) => requests.filter(test).length;
  const latencies = requests.map(({ latencyMs }) => latencyMs).sort((a, b) => a - b);
  const quantile = (q: number) => Math.round(latencies[Math.floor(latencies.length * q)]! * 10) / 10;
  const costs = await app.stations.costs.groupBy('service', undefined, undefined);
  const costMicroUsd = costs.reduce((sum, { amountMicroUsd }) => sum + amountMicroUsd, 0);
  const audit = await app.verifyAudit();
  const irregular = requests.filter((request) => request.irregular);
  return {
    file: { ...counts },
    requests: requests.length,
    undecided: count(({ outcome }) => outcome === undefined),
    withoutPerson: count(({ asked }) => !asked),
    shareWithoutPerson: count(({ asked }) => !asked) / requests.length,
    toReview: count(({ asked }) => asked),
    shareToReview: count(({ asked }) => asked) / requests.length,
    refundedByPolicy: count(({ outcome, decidedBy }) => outcome === 'refund' && decidedBy === 'policy'),
    refusedByPolicy: count(({ outcome, decidedBy }) => outcome === 'refuse' && decidedBy === 'policy'),
    irregular: irregular.length,
    irregularRefundedWithoutPerson: irregular.filter(
      ({ outcome, decidedBy }) => outcome === 'refund' && decidedBy === 'policy',
    ).length,
    simulatedAnswers: reviewers.answered,
    deadlinesPassed: count(({ decidedBy }) => decidedBy === 'deadline'),
    refundsPaid: refunds.done.size,
    costPerReturnMicroUsd: Math.round(costMicroUsd / requests.length),
    costByService: Object.fromEntries(costs.map(({ key, amountMicroUsd }) => [key, amountMicroUsd])),
    events: replay.events,
    seconds: Math.round(replay.wallMs / 100) / 10,
    decisionsPerSecond: Math.round((requests.length / replay.wallMs) * 10_000) / 10,
    eventsPerSecond: Math.round((replay.events / replay.wallMs) * 1000),
    latencyMs: { p50: quantile(0.5), p95: quantile(0.95), p99: quantile(0.99) },
    deadLetters: await app.stations.consumers.deadLetters.countOpen(),
    auditEntries: audit.size,
    auditValid: audit.valid,
  };
}

function describe(figures: Figures): string {
  const percent = (share: number) => `${(share * 100).toFixed(1)} %`;
  const rows: [string, string][] = [
    [
      'File',
      `${figures.file.rows} rows: ${figures.file.orders} orders of ${figures.file.orderLines} lines (${figures.file.mergedLines} merged by article), ${figures.file.returns} return requests; left out: ${figures.file.writeOffs} write-offs, ${figures.file.badDebt} bad-debt bookings, ${figures.file.malformed} malformed rows`,
    ],
    ['Return requests', `${figures.requests} (${figures.undecided} undecided)`],
    [
      'Decided without a person',
      `${figures.withoutPerson}  ${percent(figures.shareWithoutPerson)}  (${figures.refundedByPolicy} refunded, ${figures.refusedByPolicy} refused)`,
    ],
    [
      'Sent to review',
      `${figures.toReview}  ${percent(figures.shareToReview)}  (people are simulated: ${figures.simulatedAnswers} answers by a stated rule, ${figures.deadlinesPassed} deadlines passed)`,
    ],
    [
      'Irregular requests',
      `${figures.irregular}, of them refunded without a person: ${figures.irregularRefundedWithoutPerson}`,
    ],
    [
      'Cost per return',
      `${formatUsd(figures.costPerReturnMicroUsd)}  (${Object.entries(figures.costByService)
        .map(([name, amount]) => `${name} ${formatUsd(amount)}`)
        .join(', ')} in all)`,
    ],
    [
      'Speed',
      `${figures.decisionsPerSecond} decisions/s among ${figures.eventsPerSecond} events/s, ${figures.seconds} s in all`,
    ],
    [
      'Post to decision',
      `p50 ${figures.latencyMs.p50} ms, p95 ${figures.latencyMs.p95} ms, p99 ${figures.latencyMs.p99} ms`,
    ],
    ['Refunds paid', `${figures.refundsPaid}, ${figures.deadLetters} dead letters`],
    ['Audit log', `${figures.auditEntries} entries, ${figures.auditValid ? 'verified' : 'DOES NOT VERIFY'}`],
  ];
  return rows.map(([label, text]) => `${label.padEnd(26)}${text}`).join('\n');
}

/** One line that changes on a terminal; elsewhere a line for each stage and each percent or ten. */
function say(text: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\u001b[2K${text}`);
  else if (text && text.slice(0, 2) !== lastSaid) process.stderr.write(`· ${text}\n`);
  lastSaid = text.slice(0, 2);
}
