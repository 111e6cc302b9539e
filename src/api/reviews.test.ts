import { beforeAll, describe, expect, it } from 'vitest';
import type { Json, JsonObject } from '../kernel/json.ts';
import { openedApi } from './opened-api-under-test.ts';

const FORM = `
title: Limits
outcome: decision
form: { type: object, required: [decision], properties: { decision: { enum: [approve, refuse] } } }
deadline: 2h
onDeadline: { decision: refuse }
`;
const flow = (name: string, asked: string) => `
document: { dsl: '1.0.0', namespace: test, name: ${name}, version: '1.0.0' }
evaluate: { language: cel }
do:
  - ask: { call: human-task:1@default, with: { queue: ${name}, title: A limit, context: '\${ input }', ${asked} } }
`;
const FILES: [string, string][] = [
  [
    'queues/limits.yaml',
    `name: limits${FORM}approvals: { of: 3, needed: 2, approve: [approve] }\namendable: true\n`,
  ],
  [
    'queues/bands.yaml',
    `name: bands${FORM}confidence: [ { atLeast: 0.9, outcome: auto }, { outcome: double } ]\nsampling: { share: 1 }\n`,
  ],
  ['workflows/limits.yaml', flow('limits', `requester: '\${ input.requester }'`)],
  [
    'workflows/bands.yaml',
    flow('bands', `suggestion: { decision: approve }, confidence: '\${ input.confidence }', subject: eva`),
  ],
];

interface Shown {
  id: string;
  contextDigest: string;
  context: JsonObject;
  suggestion?: Json;
  review: JsonObject;
}

describe('the API of cases that several people answer', () => {
  const { api } = openedApi();
  const keys: Record<string, string> = {};

  beforeAll(async () => {
    for (const name of ['ann', 'bob', 'cem', 'lea'])
      keys[name] = (await api.access.createKey(name, [name === 'lea' ? 'lead' : 'reviewer'], 'test')).key;
    const applied = await api.request({
      method: 'POST',
      url: '/api/v1/apply',
      role: 'operator',
      body: { files: FILES.map(([path, text]) => ({ path, text })) },
    });
    expect([applied.statusCode, applied.body]).toMatchObject([200, expect.any(String)]);
  });

  const as = async (name: string, method: 'GET' | 'POST', url: string, body?: Json) => {
    const headers = { authorization: `Bearer ${keys[name]}` };
    const response = await api.request({ method, url, headers, ...(body === undefined ? {} : { body }) });
    return response.json();
  };
  const start = async (name: string, input: JsonObject) => {
    const url = `/api/v1/workflows/${name}/runs?wait=2s`;
    return (await api.request({ method: 'POST', url, role: 'operator', body: { input } })).json();
  };
  const forMe = async (name: string, queue: string): Promise<Shown[]> =>
    (await as(name, 'GET', `/api/v1/tasks?status=waiting&forMe=true&queue=${queue}`)).items;
  const answer = async (name: string, queue: string, decision: string) => {
    const [task] = await forMe(name, queue);
    const { id, contextDigest } = task!;
    return await as(name, 'POST', `/api/v1/tasks/${id}/complete`, { result: { decision }, contextDigest });
  };
  const outputOf = async (id: string) => {
    for (;;) {
      const run = (await api.request({ url: `/api/v1/runs/${id}`, role: 'viewer' })).json();
      if (run.status === 'completed') return run.output;
      expect(run.status).not.toBe('failed');
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  };

  it('shows each person one task, the votes so far, and nobody their own request; the run goes on with the decision', async () => {
    const { id } = await start('limits', { amount: 5, requester: 'cem' });
    expect(await forMe('cem', 'limits')).toEqual([]);
    expect(await forMe('ann', 'limits')).toMatchObject([
      {
        review: {
          form: 'approvals',
          people: 3,
          needed: 2,
          answered: 0,
          votes: [],
          amendable: true,
          requester: 'cem',
        },
      },
    ]);
    await answer('ann', 'limits', 'approve');
    expect(await forMe('ann', 'limits')).toEqual([]);
    const [task] = await forMe('bob', 'limits');
    expect(task!.review).toMatchObject({ answered: 1, votes: [{ by: 'ann', outcome: 'approve' }] });
    const complete = { result: { decision: 'approve' }, contextDigest: task!.contextDigest };
    expect(await as('cem', 'POST', `/api/v1/tasks/${task!.id}/complete`, complete)).toMatchObject({
      code: 'tasks.requester_excluded',
    });
    expect(await as('ann', 'POST', `/api/v1/tasks/${task!.id}/claim`, {})).toMatchObject({
      code: 'tasks.one_answer_each',
    });
    await answer('bob', 'limits', 'approve');
    expect(await outputOf(id)).toMatchObject({
      result: { decision: 'approve' },
      expired: false,
      review: { approved: true, votes: [{ outcome: 'approve' }, { outcome: 'approve' }] },
    });
    const { costs } = (await api.request({ url: `/api/v1/runs/${id}`, role: 'viewer' })).json();
    expect(costs).toMatchObject([{ service: 'people' }, { service: 'people' }]);
  });

  it('asks everybody again when what is shown is put right', async () => {
    const { id } = await start('limits', { amount: 5, requester: null });
    await answer('ann', 'limits', 'approve');
    const [task] = await forMe('bob', 'limits');
    const change = { context: { amount: 6 }, contextDigest: task!.contextDigest };
    const amended = await as('bob', 'POST', `/api/v1/tasks/${task!.id}/amend`, change);
    expect(amended).toMatchObject({ context: { amount: 6 }, review: { round: 2, answered: 0 } });
    expect(await forMe('bob', 'limits')).toEqual([]);
    await answer('ann', 'limits', 'approve');
    await answer('cem', 'limits', 'approve');
    expect(await outputOf(id)).toMatchObject({ review: { approved: true } });
  });

  it('goes on without a person where confidence suffices, and has it checked afterwards', async () => {
    const run = await start('bands', { confidence: 0.95 });
    expect(run).toMatchObject({
      status: 'completed',
      output: {
        result: { decision: 'approve' },
        decidedBy: null,
        routing: { route: 'auto', band: 0, sampled: true },
      },
    });
    const [check] = await forMe('ann', 'bands');
    expect(check).toMatchObject({ review: { form: 'sample', blind: true } });
    expect(check!.suggestion).toBeUndefined();
    await answer('ann', 'bands', 'refuse');
    expect(await forMe('bob', 'bands')).toEqual([]);
  });

  it('hides what the other answered until both have, then tells figures and labels to those who may read them', async () => {
    const { id } = await start('bands', { confidence: 0.2 });
    const first = await answer('ann', 'bands', 'approve');
    const [task] = await forMe('bob', 'bands');
    expect(task!.review).toMatchObject({ blind: true, answered: 1 });
    expect(task!.review.votes).toBeUndefined();
    expect((await as('bob', 'GET', `/api/v1/tasks/${first.id}`)).result).toBeUndefined();
    await answer('bob', 'bands', 'approve');
    expect(await outputOf(id)).toMatchObject({ result: { decision: 'approve' }, review: { form: 'double' } });
    expect(await as('ann', 'GET', '/api/v1/queues/bands/quality')).toMatchObject({
      code: 'access.forbidden',
    });
    expect(await as('lea', 'GET', '/api/v1/queues/bands/quality')).toMatchObject({
      answers: 3,
      reviewers: { overall: { count: 1, agreement: 1, kappa: null } },
      suggestion: { blind: { count: 3 } },
      routes: [
        { route: 'auto', cases: 1, sampled: 1 },
        { route: 'double', cases: 1 },
      ],
    });
    const page = await as('lea', 'GET', '/api/v1/queues/bands/labels?limit=2');
    expect(page.items).toHaveLength(2);
    const { body, headers } = await api.request({
      url: '/api/v1/queues/bands/labels.jsonl',
      headers: { authorization: `Bearer ${keys.lea}` },
    });
    expect(headers['content-type']).toContain('application/jsonl');
    const labels = body
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(labels.map(({ outcome }) => outcome)).toEqual(['refuse', 'approve', 'approve']);
    expect(body).not.toMatch(/ann|bob|key_/);
    const erase = { method: 'POST', url: '/api/v1/subjects/erase', body: { subject: 'eva' } } as const;
    expect((await api.request({ ...erase, role: 'operator' })).json()).toMatchObject({
      code: 'access.forbidden',
    });
    expect((await api.request({ ...erase, role: 'admin' })).statusCode).toBe(200);
    const after = await as('lea', 'GET', '/api/v1/queues/bands/labels');
    expect(after.items.map(({ erased, shown }: JsonObject) => [erased, shown])).toEqual(
      Array(3).fill([true, null]),
    );
  });
});
