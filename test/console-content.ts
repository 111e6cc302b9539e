import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { logisticModel } from '../src/testing/onnx.ts';
import { CONSOLE_PROJECT } from './console-project.ts';

const LONG =
  'customer-lifetime-value-of-returning-households-in-the-northern-sales-region-measured-weekly.v2025';
const RETURN_RISK = join(import.meta.dirname, '../examples/returns/models/return-risk/return-risk.onnx');
const LONG_FLOW = 'settle-the-claims-of-travellers-whose-luggage-went-elsewhere';
const UNBROKEN = 'urn:shop:returns:2026:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef';
/** Long without a space, other scripts, right to left, and what HTML would take for its own. */
const SUBJECTS = [
  UNBROKEN,
  '返品依頼・北海道札幌市中央区大通西五丁目のお客様から',
  'طلب إرجاع رقم ١٢٣٤',
  '<b>R-1</b> & “more”',
];

/** Names that are hard to draw: of each length and script that the definitions allow. */
export const HARD_NAMES = { long: LONG, flow: LONG_FLOW, subject: UNBROKEN };

const FILES: Readonly<Record<string, string>> = {
  ...CONSOLE_PROJECT,
  [`queues/${LONG}.yaml`]: `
name: ${LONG}
title: Überprüfung der Rückerstattungsansprüche – 返金請求の確認 – مراجعة طلبات الاسترداد
instructions: |
  # 手順
  1. Vergleichen Sie die **Donaudampfschifffahrtsgesellschaftskapitänsmützenrechnung** mit dem Auftrag.
  2. See \`https://example.com/a/very/long/path/that/has/no/space/and/goes/on/and/on/until/the/end/of/the/line\`.
form:
  type: object
  required: [outcome]
  properties:
    outcome: { enum: [accept-with-a-long-and-careful-explanation, reject, ask-the-customer-for-more], title: Answer }
    amount: { type: number, title: Amount, minimum: 0 }
    goodwill: { type: boolean, title: Goodwill }
    note: { type: string, maxLength: 400, title: Note }
due: PT1H
`,
  [`workflows/${LONG_FLOW}.yaml`]: `
document: { dsl: 1.0.3, namespace: test, name: ${LONG_FLOW}, version: 1.0.0, title: A flow with a name that is long, metadata: { aios: { subject: input.subject } } }
evaluate: { language: cel }
do:
  - weigh-the-case-with-all-that-is-known-of-it: { set: { weight: 12.5, subject: '\${ input.subject }' } }
  - ask-somebody-who-knows-the-law:
      call: human-task:1@default
      with:
        queue: ${LONG}
        subject: '\${ input.subject }'
        title: '\${ "Rückerstattung · 返金 · " + input.subject }'
        context: { reference: '\${ input.subject }', amount: 1234567.891, currency: EUR, lines: [{ product: 帽子, quantity: 3 }, { product: Mütze, quantity: 12 }], nothing: null }
`,
  'workflows/breaks.yaml': `
document: { dsl: 1.0.3, namespace: test, name: breaks, version: 1.0.0, metadata: { aios: { subject: input.subject } } }
evaluate: { language: cel }
do:
  - fine: { set: { x: 1 } }
  - fails: { raise: { error: { type: 'https://example.com/errors/the-warehouse-does-not-know-this-product', status: 422, title: The warehouse does not know this product, detail: 'Product 帽子-${UNBROKEN} is in no list of the warehouse.' } } }
`,
  [`contracts/${LONG}.yaml`]: `
name: ${LONG}
version: 1.0.0
owner: shop
onInvalid: quarantine
schema: { type: object, required: [total], properties: { total: { type: number, description: 合計（税込） }, lines: { type: array, items: { type: object, properties: { product: { type: string } } } } } }
`,
  'entities/client.yaml': 'name: client\njoinKeys: [client]',
  'features/scores.yaml':
    'name: scores\nentity: client\nowner: risk\ndescription: How likely a client is to return.\nsource: { push: scores }\nfeatures: { score: { type: float64, description: of the last model } }',
  'services/clients.yaml': 'name: clients\nviews: [scores]',
  'datasets/clients.yaml':
    'name: clients\ndescription: Clients and what became of them.\nlicence: CC0-1.0\nviews: [scores]\nlabels: [returned]\nsplit: { by: time, train: 0.8, test: 0.2 }',
  'datasets/unmade.yaml': 'name: unmade\nviews: [scores]',
  'bridges/orders.yaml':
    'name: orders\nfrom: { amqp: { host: 127.0.0.1, port: 1, queue: orders } }\nallowPrivate: ["127.0.0.1:1"]',
  [`models/${LONG}/model.yaml`]: `
name: ${LONG}
file: credit.onnx
signature: { features: [age, orders], results: { score: { output: probabilities, column: 0 } } }
promotion: { approvals: 1, of: [admin], fourEyes: false }
serving: { log: { sample: 1, redact: [age] } }
card: { task: 'Ob jemand zurückgibt – 返品の可能性', owner: risk }
`,
};

interface Sender {
  apply(files: Readonly<Record<string, string>>): Promise<unknown>;
  ask<Answer>(path: string): Promise<Answer>;
  send<Answer>(path: string, body: object, method?: 'POST' | 'PUT'): Promise<Answer>;
}

/** Puts something on every page of the console, hard to draw: long names, other scripts, what failed, what waits. */
export async function fillConsole(sender: Sender): Promise<void> {
  const { apply, send } = sender;
  const base64 = Buffer.from(logisticModel([0.2, 0.4], 0)).toString('base64');
  const files = Object.entries(FILES).map(([path, text]) => ({ path, text }));
  await send('/api/v1/apply', { files: [...files, { path: `models/${LONG}/credit.onnx`, base64 }] });
  for (const subject of SUBJECTS) {
    await send(`/api/v1/workflows/${LONG_FLOW}/runs`, { input: { subject } });
    await send('/api/v1/workflows/breaks/runs', { input: { subject } });
  }
  await fillEvents(sender);
  await fillData(sender);
  await fillModels(sender);
  await send('/api/v1/budgets/team', { scope: 'all', period: 'month', amountMicroUsdMax: 1_000_000 }, 'PUT');
  await send(
    `/api/v1/budgets/${LONG}`,
    { scope: 'model', subject: LONG, period: 'hour', tokensMax: 5_000 },
    'PUT',
  );
  await send('/api/v1/keys', { name: 'Ann-Kathrin Müller-Lüdenscheidt 山田', roles: ['reviewer'] });
  await apply({
    'workflows/undated.yaml': CONSOLE_PROJECT['workflows/nightly.yaml']!.replace('nightly', 'undated'),
  });
}

async function fillEvents({ apply, send }: Sender): Promise<void> {
  const event = (type: string, id: string, data: object) =>
    send('/api/v1/events', { specversion: '1.0', id, source: UNBROKEN, subject: SUBJECTS[1], type, data });
  await event(LONG, UNBROKEN, { total: 12 });
  await event(LONG, `${UNBROKEN}-2`, { total: 'zwölf' }).catch(() => {}); // goes to quarantine
  // Its expression fails on each event of the type.
  const broken =
    'name: broken\nentity: thing\nowner: test\nsource: { event: test.broken }\nkeys: { thing: data.thing }\nfeatures: { sum: { aggregate: sum, of: int(data.thing) } }\n';
  await apply({
    'contracts/test.broken.yaml':
      'name: test.broken\nversion: 1.0.0\nowner: test\nschema: { type: object }\n',
    'entities/thing.yaml': 'name: thing\njoinKeys: [thing]\n',
    'features/broken.yaml': broken,
  });
  for (const at of [1, 2, 3]) await event('test.broken', `${UNBROKEN}-b-${at}`, { thing: UNBROKEN, x: 1 });
  await send('/api/v1/webhooks', {
    url: `http://127.0.0.1:9/hooks/${UNBROKEN}`,
    types: [LONG, 'test.broken'],
    description: 'Das Lager – 倉庫へ知らせる',
  });
}

async function fillData({ send }: Sender): Promise<void> {
  const time = (day: number) => new Date(Date.UTC(2026, 0, day)).toISOString();
  const clients = Array.from({ length: 7 }, (_, at) => ({
    client: `c-${at}`,
    score: at / 7,
    timestamp: time(1),
  }));
  await send('/api/v1/features/push', { source: 'scores', rows: clients });
  for (const length of [40, 50]) {
    const rows = Array.from({ length }, (_, at) => ({
      client: `c-${at % 7}`,
      timestamp: time((at % 7) + 2),
      returned: at % 4 === 0,
      where: SUBJECTS[at % 4],
    }));
    await send('/api/v1/datasets/clients/versions?wait=30s', { rows });
  }
}

async function fillModels({ ask, send }: Sender): Promise<void> {
  const onnxBase64 = (await readFile(RETURN_RISK)).toString('base64');
  const { versions } = await ask<{ versions: { signature: object }[] }>('/api/v1/models/return-risk');
  const card = { task: 'the same again' };
  await send('/api/v1/models/return-risk/versions', { onnxBase64, signature: versions[0]!.signature, card });
  const steps = [{ percent: 20, waitSeconds: 3600 }, { percent: 50 }];
  await send('/api/v1/models/return-risk/rollouts', {
    challenger: 2,
    kind: 'canary',
    steps,
    comparison: { share: 1 },
  });
  await send('/api/v1/models/client-risk/versions', {
    onnxBase64,
    datasets: [{ name: 'clients', version: 1 }],
  });
  await send(`/api/v1/models/${LONG}/aliases/champion`, { version: 1 }, 'PUT');
  const infer = (datatype: string) =>
    send(`/v2/models/${LONG}/versions/1/infer`, {
      inputs: [{ name: 'features', datatype, shape: [1, 2], data: [41, 2] }],
    });
  await infer('FP32').catch(() => {});
  await infer('FP64').catch(() => {});
  await fillExperiments(send);
}

async function fillExperiments(send: Sender['send']): Promise<void> {
  const { experiment_id } = await send<{ experiment_id: string }>('/api/2.0/mlflow/experiments/create', {
    name: LONG,
  });
  let first = '';
  for (const [at, name] of ['deep', 'flat', `${UNBROKEN}`, '深い森'].entries()) {
    const { run } = await send<{ run: { info: { run_id: string } } }>('/api/2.0/mlflow/runs/create', {
      experiment_id,
      run_name: name,
      start_time: Date.now(),
    });
    const { run_id } = run.info;
    const metrics = Array.from({ length: 12 }, (_, step) =>
      ['loss', 'validation_loss', 'area_under_the_curve'].map((key, column) => ({
        key,
        step,
        timestamp: Date.now(),
        value: (at + 1) / (step + 1) + column / 10,
      })),
    ).flat();
    const params = [
      { key: 'depth', value: String(at) },
      { key: 'learning_rate', value: '0.0003' },
      { key: 'a_parameter_with_a_rather_long_name', value: UNBROKEN },
    ];
    const tags = [
      { key: 'mlflow.note.content', value: 'Überprüft – 深い森 – مراجعة' },
      { key: 'team', value: UNBROKEN },
      ...(at > 0 ? [{ key: 'mlflow.parentRunId', value: first }] : []),
    ];
    first ||= run_id;
    await send('/api/2.0/mlflow/runs/log-batch', { run_id, metrics, params, tags });
    const dataset = { name: LONG, digest: '0a1b2c3d', source_type: 'local', source: '{}' };
    const context = [{ key: 'mlflow.data.context', value: 'training' }];
    await send('/api/2.0/mlflow/runs/log-inputs', { run_id, datasets: [{ dataset, tags: context }] });
    for (const file of [`${LONG}.json`, 'plots/深い森 %20.json'])
      await send(
        `/api/2.0/mlflow-artifacts/artifacts/${experiment_id}/${run_id}/artifacts/${encodeURI(file)}`,
        { a: 1 },
        'PUT',
      );
    const status = at === 1 ? 'FAILED' : 'FINISHED';
    if (at < 3) await send('/api/2.0/mlflow/runs/update', { run_id, status, end_time: Date.now() });
  }
}
