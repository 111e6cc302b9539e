// biome-ignore-all lint/suspicious/noTemplateCurlyInString: flows hold expressions in ${ … }
import { describe, expect, it } from 'vitest';
import { ManualClock } from '../../kernel/clock.ts';
import type { LoggedEvent } from '../../kernel/cloudevent.ts';
import { readDocument } from '../../kernel/document.ts';
import { AiosError } from '../../kernel/errors.ts';
import type { Json, JsonObject } from '../../kernel/json.ts';
import { limitsFrom } from '../../kernel/limits.ts';
import { type Lane, type Write, write } from '../../store/lane.ts';
import { WorkflowEngine } from '../engine/engine.ts';
import { eventRunId } from '../engine/event-start.ts';
import { MemoryRunStore } from '../engine/memory-store.ts';
import { connectorPrimitive } from './connector.ts';
import { decidePrimitive } from './decide.ts';
import { type FeaturesPort, featuresPrimitive } from './features.ts';
import { humanTaskPrimitive } from './human-task.ts';
import { inferPrimitive } from './infer.ts';
import { catalogOf, type Primitive } from './primitive.ts';

const FLOW = `
document: { dsl: '1.0.0', namespace: shop, name: returns, version: '1.0.0', metadata: { aios: { subject: event.data.customer, outcome: output.outcome } } }
evaluate: { language: cel }
schedule: { on: { one: { with: { type: return.requested } } } }
do:
  - features: { call: features:1@default, with: { service: return-risk, entity: { customer: '\${ event.data.customer }' } } }
  - score: { call: infer:1@default, with: { model: return-risk, features: '\${ input }' } }
  - decide: { call: decide:1@default, with: { decision: policy, input: { score: '\${ input.outputs.score }', amount: '\${ event.data.amount }' }, subject: '\${ event.data.customer }' } }
  - route: { switch: [ { ask: { when: input.output.outcome == "review", then: ask } }, { go: { then: refund } } ] }
  - ask: { call: human-task:1@default, with: { queue: returns, title: 'Return of \${ event.data.customer }', context: { amount: '\${ event.data.amount }' } }, then: told }
  - refund: { call: connector:1@default, with: { connector: refunds, operation: refund, input: { amount: '\${ event.data.amount }' } }, then: told }
  - told: { set: { outcome: '\${ has(input.result) ? input.result.outcome : "refund" }', by: '\${ has(input.decidedBy) ? input.decidedBy : null }' } }
`;

interface Rows {
  lane: string;
  [field: string]: unknown;
}

/** Those who act: a person, and the system that pays back, which is down for an amount of 13. */
function actors(
  answered: ReadonlyMap<string, { result: JsonObject; decidedBy: string }>,
  tasks: Lane<object>,
  keys: string[],
  costs: (entry: object) => Write,
  audit: (entry: object) => Write,
): Primitive[] {
  return [
    humanTaskPrimitive(
      {
        open: (task) => ({
          taskId: `task of ${task.runId}`,
          writes: [write(tasks, { opened: task.title })],
          reviewed: false,
          routing: undefined,
          settled: undefined,
          deadlineAtMs: task.nowMs + 60_000,
          onDeadline: { outcome: 'refused' },
          version: 1,
          digest: 'sha256:q',
        }),
        close: (taskId, status) => write(tasks, { taskId, status }),
        expire: async (taskId) => answered.get(taskId),
      },
      audit,
    ),
    connectorPrimitive(
      {
        call: async ({ idempotencyKey, input }) => {
          keys.push(idempotencyKey);
          if (input.amount === 13) throw new AiosError('store.unavailable', { detail: 'refunds are down' });
          return { output: { ok: true }, costMicroUsd: 100, attempts: 1, version: 1, digest: 'sha256:c' };
        },
      },
      costs,
      audit,
    ),
  ];
}

/** The path with stations that answer from the amount of the return, and what was written along it. */
function shop() {
  const rows: Rows[] = [];
  const asked: Parameters<FeaturesPort['online']>[0][] = [];
  const keys: string[] = [];
  const answered = new Map<string, { result: JsonObject; decidedBy: string }>();
  const lane = (name: string): Lane<object> => ({
    name,
    order: 50,
    write: async (_tx, items) => {
      rows.push(...items.map((item) => ({ lane: name, ...item })));
      return undefined;
    },
  });
  const lanes = { audit: lane('audit'), cost: lane('cost'), lineage: lane('lineage'), task: lane('task') };
  const audit = (entry: object): Write => write(lanes.audit, entry);
  const costs = (entry: object): Write => write(lanes.cost, entry);
  const clock = new ManualClock(1_000);
  const store = new MemoryRunStore();
  const catalog = catalogOf([
    featuresPrimitive({
      async online(request) {
        asked.push(request);
        const pins = [{ kind: 'feature-service' as const, name: request.service, version: '3' }];
        return { names: ['orders', 'spend'], rows: request.entities.map(() => [4, null] as Json[]), pins };
      },
    }),
    inferPrimitive(
      {
        infer: () => Promise.reject(new Error('not asked')),
        score: async ({ model, features }) => ({
          model,
          outputs: { score: Number(features.orders) / 10 },
          version: 2,
          digest: 'sha256:m',
          computeUs: 30,
          costMicroUsd: 5,
        }),
      },
      costs,
    ),
    decidePrimitive(
      {
        evaluate: (_, { amount }) => ({
          output: { outcome: Number(amount) > 100 ? 'review' : 'refund' },
          rule: 'r1',
          reason: 'by amount',
          version: 7,
          digest: 'sha256:d',
        }),
      },
      audit,
    ),
    ...actors(answered, lanes.task, keys, costs, audit),
  ]);
  const engine = new WorkflowEngine({
    store,
    catalog,
    clock,
    limits: limitsFrom(),
    findDefinition: async () => undefined,
    lineage: (record, _ended, writes) => void writes.push(write(lanes.lineage, record)),
  });
  engine.put({
    name: 'returns',
    version: 1,
    digest: 'sha256:f',
    body: readDocument(FLOW, 'returns.yaml').value,
  });
  return { answered, engine, store, clock, rows, asked, keys };
}

async function requested(of: ReturnType<typeof shop>, data: JsonObject): Promise<string> {
  const event: LoggedEvent = {
    event: { specversion: '1.0', id: 'r-1', source: 'urn:shop', type: 'return.requested', time: '', data },
    timeMs: 900,
    recordedAtMs: 1_000,
    partition: 2,
    offset: 41,
  };
  const after = await of.store.transaction((tx) => of.engine.startFromEvents([event], tx));
  after();
  const runId = eventRunId('returns', event);
  await of.engine.waitFor(runId, 2_000);
  return runId;
}

describe('the path, from the event to the action', () => {
  it('decides as of the event, acts under one key, and leaves record, cost and lineage', async () => {
    const of = shop();
    const runId = await requested(of, { customer: 'c-1', amount: 20 });
    expect(await of.engine.waitFor(runId, 2_000)).toMatchObject({
      status: 'completed',
      subject: 'c-1',
      outcome: 'refund',
      result: { output: { outcome: 'refund', by: null } },
    });
    expect(of.asked[0]).toEqual({
      service: 'return-risk',
      entities: [{ customer: 'c-1' }],
      asOf: { timeMs: 900, position: { partition: 2, offset: 41 } },
    });
    expect(of.keys).toEqual([`${runId}/refund`]);
    const written = of.rows.map((row) => [row.lane, row.action ?? row.resource ?? row.runId]);
    expect(written).toEqual([
      ['cost', 'return-risk@2'],
      ['audit', 'decided'],
      ['cost', 'refunds.refund'],
      ['audit', 'refunds.refund'],
      ['lineage', runId],
    ]);
    expect(of.rows[1]).toMatchObject({
      subject: 'c-1',
      actor: { kind: 'workflow', id: 'returns' },
      payload: {
        ...{ input: { score: 0.4, amount: 20 }, rule: 'r1', version: 7 },
        // What the score was made with stands under the tree with the decision.
        madeWith: [
          'feature-service/return-risk@3',
          'model/return-risk@2#sha256:m',
          expect.stringMatching(/^workflow\/returns@1#sha256:/),
        ],
        event: { source: 'urn:shop', id: 'r-1' }, // the case it was, when the run and the event are gone
      },
    });
    const { event, pins } = of.rows.at(-1) as unknown as {
      event: object;
      pins: { kind: string; version: string }[];
    };
    expect(event).toMatchObject({ source: 'urn:shop', id: 'r-1' });
    expect(pins.map(({ kind, version }) => `${kind} ${version}`)).toEqual([
      'feature-service 3',
      'model 2',
      'decision 7',
      'connector 1',
      'workflow 1',
    ]);
  });

  it('takes the answer of a person', async () => {
    const of = shop();
    const runId = await requested(of, { customer: 'c-2', amount: 200 });
    expect(of.rows.filter(({ lane }) => lane === 'task')).toEqual([
      { lane: 'task', opened: 'Return of c-2' },
    ]);
    const payload = { result: { outcome: 'refund' }, decidedBy: 'key_ada' };
    await of.engine.begin();
    await of.store.commit.commit([of.engine.signal({ runId, stepKey: 'ask', payload })]);
    await expect.poll(async () => (await of.store.find(runId))?.status).toBe('completed');
    expect((await of.store.find(runId))?.result?.output).toEqual({ outcome: 'refund', by: 'key_ada' });
    await of.engine.stop();
  });

  it('takes the safe outcome when nobody answers, and closes the task', async () => {
    const of = shop();
    const runId = await requested(of, { customer: 'c-3', amount: 200 });
    await of.engine.begin();
    of.clock.advanceBy(60_000);
    await expect.poll(async () => (await of.store.find(runId))?.status).toBe('completed');
    expect((await of.store.find(runId))?.result?.output).toEqual({ outcome: 'refused', by: null });
    expect(of.rows.find(({ status }) => status === 'expired')).toMatchObject({ taskId: `task of ${runId}` });
    // Under the run, as an answer of a person is: who looks at the run sees how it was decided.
    expect(of.rows.find(({ action }) => action === 'expired')).toMatchObject({
      lane: 'audit',
      object: `run:${runId}`,
    });
    await of.engine.stop();
  });

  it('takes the answer that was committed before the deadline could end the task, and records no expiry', async () => {
    const of = shop();
    const runId = await requested(of, { customer: 'c-5', amount: 200 });
    of.answered.set(`task of ${runId}`, { result: { outcome: 'refund' }, decidedBy: 'key_ada' });
    await of.engine.begin();
    of.clock.advanceBy(60_000);
    await expect.poll(async () => (await of.store.find(runId))?.status).toBe('completed');
    expect((await of.store.find(runId))?.result?.output).toEqual({ outcome: 'refund', by: 'key_ada' });
    expect(of.rows.filter(({ status, action }) => status === 'expired' || action === 'expired')).toEqual([]);
    await of.engine.stop();
  });

  it('fails with what the outside system said, the decision recorded all the same', async () => {
    const of = shop();
    const runId = await requested(of, { customer: 'c-4', amount: 13 });
    expect(await of.engine.waitFor(runId, 2_000)).toMatchObject({
      status: 'failed',
      result: { error: { code: 'store.unavailable', detail: 'refunds are down', instance: '/do/5/refund' } },
    });
    expect(of.rows.filter(({ lane }) => lane === 'audit').map(({ action }) => action)).toEqual(['decided']);
  });
});
