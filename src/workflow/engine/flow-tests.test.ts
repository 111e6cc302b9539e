import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { testFlows } from './flow-tests.ts';

const FLOW = `
document: { dsl: 1.0.3, namespace: test, name: pay, version: 1.0.0 }
evaluate: { language: cel }
do:
  - look: { call: features:1@default, with: { of: '\${ input.customer }' } }
  - pay: { call: connector:1@default, with: { amount: '\${ input.amount }' } }
  - rest: { wait: PT1H }
  - tell: { emit: { event: { with: { type: paid, data: { id: '\${ input.id }' } } } }, output: { as: input } }`;
const MOCKS = 'mocks: { look: [ { output: { amount: 7 } } ], connector: [ { output: { id: p-1 } } ] }';

async function faultsOf(test: string): Promise<string[]> {
  const [report] = await testFlows([
    { path: 'workflows/pay.yaml', text: FLOW },
    { path: 'tests/pay.yaml', text: `- { name: it pays, workflow: pay, ${test} }` },
  ]);
  return report!.faults;
}

describe('the tests of a project’s flows', () => {
  it('pass when all that they name is so', async () => {
    const text = `- name: it pays
  workflow: pay
  startsAt: 2026-05-01T10:00:00Z
  input: { customer: c-1 }
  ${MOCKS}
  output: { id: p-1 }
  calls: [ [ features, { of: c-1 } ], [ connector, { amount: 7 } ] ]
  emits: [ { type: paid, time: 2026-05-01T11:00:00.000Z, data: { id: p-1 } } ]
  steps: [ look, pay, rest, tell ]
  took: PT1H`;
    const files = [
      { path: 'workflows/pay.yaml', text: FLOW },
      { path: 'tests/pay.yaml', text },
    ];
    const [report] = await testFlows(files);
    expect(report).toMatchObject({ file: 'tests/pay.yaml', name: 'it pays', workflow: 'pay', faults: [] });
  });

  it.each([
    [`${MOCKS}, input: { customer: c-1 }, output: { id: p-2 }`, 'output/id: expected "p-2", got "p-1"'],
    [
      `${MOCKS}, input: { customer: c-1 }, output: { id: p-1, more: 1 }`,
      'output/more: expected 1, got nothing',
    ],
    [`${MOCKS}, input: { customer: c-1 }, took: PT2H`, 'took: expected PT2H, got 3600 s'],
    [`${MOCKS}, input: { customer: c-1 }, steps: [ look, tell ]`, 'steps/1: expected "tell", got "pay"'],
    [
      `${MOCKS}, input: { customer: c-1 }, emits: [ { type: payed } ]`,
      'emits/0/type: expected "payed", got "paid"',
    ],
    [`${MOCKS}, input: { customer: c-1 }, emits: []`, /^emits\/0: expected nothing, got \{.*"type":"paid"/],
    [
      `${MOCKS}, input: { customer: c-1 }, calls: [ [ features, { of: c-2 } ], [ connector, { amount: 7 } ] ]`,
      'calls/0/1/of: expected "c-2", got "c-1"',
    ],
    [
      `${MOCKS}, input: { customer: c-1 }, fails: { status: 404 }`,
      'fails: the run completed instead, with {"id":"p-1"}',
    ],
    [
      'mocks: { look: [ { error: { status: 404, title: gone } } ] }, input: { customer: c-1 }',
      'the run failed at /do/0/look: gone',
    ],
    [
      'mocks: { look: [ { output: { amount: 7 } } ] }, input: { customer: c-1 }',
      'pay calls connector, and the test has no answer for it: mocks: { pay: [ { output: … } ] }',
    ],
    [
      `mocks: { look: [ { output: { amount: 7 } } ], connecter: [ { output: 1 } ], pay: [ { output: 2 } ] }, input: { customer: c-1 }`,
      'mocks: “connecter” is no step of the flow, and nothing that it calls; did you mean connector?',
    ],
  ])('say what differs, and where: %s', async (test, fault) => {
    expect(await faultsOf(test)).toContainEqual(
      typeof fault === 'string' ? fault : expect.stringMatching(fault),
    );
  });

  it('take answers for the steps of a flow that the flow runs', async () => {
    const run = '{ run: { workflow: { namespace: test, name: pay, version: latest, input: {} } } }';
    const outer = `document: { dsl: 1.0.3, namespace: test, name: outer, version: 1.0.0 }\ndo: [ { sub: ${run} } ]`;
    const [report] = await testFlows([
      { path: 'workflows/outer.yaml', text: outer },
      { path: 'workflows/pay.yaml', text: FLOW.replace('input.customer', 'input.?customer') },
      {
        path: 'tests/outer.yaml',
        text: `[ { name: it pays, workflow: outer, ${MOCKS}, output: { id: p-1 } } ]`,
      },
    ]);
    expect(report!.faults).toEqual([]);
  });

  it('say which flows there are when there is not the one they name', async () => {
    const text = '- { name: it pays, workflow: paid }';
    const files = [
      { path: 'workflows/pay.yaml', text: FLOW },
      { path: 'tests/pay.yaml', text },
    ];
    const [report] = await testFlows(files);
    expect(report!.faults).toEqual(['there is no flow “paid” in workflows/; there are pay']);
  });

  it.each([
    ['- { name: a, workflow: pay, outptu: 1 }', '/0/outptu', '“output”'],
    ['- { name: a, workflow: pay, inputs: {} }', '/0/inputs', '“input”'],
    ['- { name: a, workflow: pay, mocks: { pay: [ { otput: 1 } ] } }', '/0/mocks/pay/0/otput', '“output”'],
  ])('are refused when they name what nobody reads: %s', async (text, path, meant) => {
    await expect(testFlows([{ path: 'tests/pay.yaml', text }])).rejects.toMatchObject({
      code: 'definition.invalid',
      issues: [{ file: 'tests/pay.yaml', path, meant }],
    });
  });

  it.each(['{ not: a list }', '- { name: without a flow }', '[ unclosed'])(
    'are refused with their file when they are none: %s',
    async (text) => {
      await expect(testFlows([{ path: 'tests/pay.yaml', text }])).rejects.toMatchObject({
        code: 'definition.invalid',
        issues: [{ file: 'tests/pay.yaml' }],
      });
    },
  );

  it('of the returns example pass', async () => {
    const root = join(import.meta.dirname, '..', '..', '..', 'examples', 'returns');
    const files = ['workflows', 'tests'].flatMap((folder) =>
      readdirSync(join(root, folder)).map((name) => ({
        path: `${folder}/${name}`,
        text: readFileSync(join(root, folder, name), 'utf8'),
      })),
    );
    const reports = await testFlows(files);
    expect(reports.length).toBeGreaterThanOrEqual(5);
    for (const { name, faults } of reports) expect(faults, name).toEqual([]);
  });
});
