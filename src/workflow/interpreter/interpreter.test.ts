// biome-ignore-all lint/suspicious/noTemplateCurlyInString: flows hold expressions in ${ … }
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it, vi } from 'vitest';
import { ManualClock } from '../../kernel/clock.ts';
import { readDocument } from '../../kernel/document.ts';
import type { Json, JsonObject } from '../../kernel/json.ts';
import { limitsFrom } from '../../kernel/limits.ts';
import type { FlowErrorBody } from '../catalog/flow-errors.ts';
import { catalogOf } from '../catalog/primitive.ts';
import { WorkflowEngine } from '../engine/engine.ts';
import { MemoryRunStore } from '../engine/memory-store.ts';

const catalog = catalogOf([
  {
    name: 'echo',
    version: 1,
    kind: 'pure',
    inputSchema: { type: 'object', properties: { n: { type: 'number' } }, required: ['n'] },
    run: async ({ n }) => ({ output: { n: n! } }),
  },
]);
const HEAD =
  "document: { dsl: '1.0.0', namespace: test, name: flow, version: '1.0.0' }\nevaluate: { language: cel }\n";

async function run(
  text: string,
  input: Json = {},
  limits = '',
): Promise<{ output?: Json; error?: FlowErrorBody }> {
  const engine = new WorkflowEngine({
    store: new MemoryRunStore(),
    catalog,
    clock: new ManualClock(0),
    limits: limitsFrom(limits),
    findDefinition: async () => undefined,
  });
  engine.put({ name: 'flow', version: 1, digest: '', body: readDocument(HEAD + text, 'flow.yaml').value });
  const { result } = await engine.run({ workflow: 'flow', input }, 2_000);
  return result ?? {};
}

/** What the steps of the language do: flow, input, output. */
const FLOWS: [title: string, text: string, input: JsonObject, output: Json][] = [
  [
    'set replaces the data',
    "do: [ { a: { set: { b: '${ input.x + 1 }', t: 'x is ${ input.x }' } } } ]",
    { x: 1 },
    { b: 2, t: 'x is 1' },
  ],
  [
    'a step takes what the last one gave',
    "do: [ { a: { set: { n: 1 } } }, { b: { call: echo:1@default, with: { n: '${ input.n + 1 }' } } } ]",
    {},
    { n: 2 },
  ],
  [
    'if skips a step, whose input goes on',
    'do: [ { a: { if: input.x > 5, set: { y: 1 } } } ]',
    { x: 1 },
    { x: 1 },
  ],
  [
    'a step that is skipped does not send the flow elsewhere',
    'do: [ { a: { if: input.x > 5, set: { y: 1 }, then: end } }, { b: { set: { z: 2 } } } ]',
    { x: 1 },
    { z: 2 },
  ],
  [
    'one that is not skipped does',
    'do: [ { a: { if: input.x > 5, set: { y: 1 }, then: end } }, { b: { set: { z: 2 } } } ]',
    { x: 6 },
    { y: 1 },
  ],
  [
    'if is asked of the raw input, before schema and expressions of the input',
    'do: [ { a: { if: has(input.y), input: { schema: { document: { type: object, required: [y] } }, from: input.y.z }, set: { n: "${ input }" } } } ]',
    { x: 1 },
    { x: 1 },
  ],
  [
    'input.from and output.as shape the data',
    'do: [ { a: { input: { from: input.order }, set: { id: \'${ input.id }\' }, output: { as: \'{ "was": output.id, "of": input.id }\' } } } ]',
    { order: { id: 7 } },
    { was: 7, of: 7 },
  ],
  [
    'export.as keeps data in the context',
    "do: [ { a: { set: { n: 4 }, export: { as: '{ \"kept\": output.n }' } } }, { b: { set: { m: '${ context.kept }' } } } ]",
    {},
    { m: 4 },
  ],
  [
    "the flow's own input and output",
    'input: { from: input.inner }\noutput: { as: \'{ "out": output.y, "raw": workflow.input.inner.x }\' }\ndo: [ { a: { set: { y: \'${ input.x }\' } } } ]',
    { inner: { x: 3 } },
    { out: 3, raw: 3 },
  ],
  [
    'switch takes the first case that fits',
    'do: [ { s: { switch: [ { big: { when: input.n > 10, then: big } }, { else: { then: small } } ] } }, { big: { set: { is: big }, then: end } }, { small: { set: { is: small } } } ]',
    { n: 11 },
    { is: 'big' },
  ],
  [
    'a switch without a fitting case goes on',
    'do: [ { s: { switch: [ { big: { when: input.n > 10, then: end } } ] } }, { small: { set: { is: small } } } ]',
    { n: 1 },
    { is: 'small' },
  ],
  [
    'exit leaves the list, end the flow',
    'do: [ { outer: { do: [ { a: { set: { n: 1 }, then: exit } }, { b: { set: { n: 2 } } } ] } }, { c: { do: [ { d: { set: { m: 3 }, then: end } } ] } }, { never: { set: { n: 9 } } } ]',
    {},
    { m: 3 },
  ],
  [
    'then may go back: each visit has its own key',
    "do: [ { more: { call: echo:1@default, with: { n: '${ input.n + 1 }' } } }, { again: { switch: [ { yes: { when: input.n < 4, then: more } } ] } } ]",
    { n: 0 },
    { n: 4 },
  ],
  [
    'for hands the output of each turn to the next',
    "do: [ { sum: { for: { each: x, in: input.list, at: i }, do: [ { add: { set: { total: '${ (has(input.total) ? input.total : 0) + x * i }' } } } ] } } ]",
    { list: [5, 6, 7] },
    { total: 20 },
  ],
  [
    'for stops when while is no longer so',
    "do: [ { f: { for: { in: input.list }, while: item < 3, do: [ { a: { set: { last: '${ item }' } } } ] } } ]",
    { list: [1, 2, 3, 1] },
    { last: 2 },
  ],
  [
    'fork gives the outputs in the order of its branches',
    'do: [ { f: { fork: { branches: [ { a: { call: echo:1@default, with: { n: 1 } } }, { b: { set: { n: 2 } } } ] } } } ]',
    {},
    [{ n: 1 }, { n: 2 }],
  ],
  [
    'contexts of parallel branches are joined',
    "do: [ { f: { fork: { branches: [ { a: { set: { v: 1 }, export: { as: '{ \"a\": output.v }' } } }, { b: { set: { v: 2 }, export: { as: '{ \"b\": output.v }' } } } ] } } }, { c: { set: '${ context }' } } ]",
    {},
    { a: 1, b: 2 },
  ],
  [
    'try catches by type, whatever its prefix',
    "do: [ { t: { try: [ { r: { raise: { error: { type: 'https://example.com/errors/mine', status: 418, detail: 'n is ${ input.n }' } } } } ], catch: { as: e, errors: { with: { type: mine, status: 418 } }, do: [ { c: { set: { was: '${ e.detail }', at: '${ e.instance }' } } } ] } } } ]",
    { n: 1 },
    { was: 'n is 1', at: '/do/0/t/try/0/r' },
  ],
  [
    'use defines errors and functions',
    'use: { errors: { gone: { type: gone, status: 410 } }, functions: { two: { call: echo:1@default, with: { n: 2 } } } }\ndo: [ { t: { try: [ { c: { call: two } }, { r: { raise: { error: gone } } } ], catch: { when: error.status == 410, do: [ { d: { call: two } } ] } } } ]',
    {},
    { n: 2 },
  ],
];

/** What ends a run as failed: flow, input, the error's last type segment, and what it says. */
const FAILURES: [title: string, text: string, input: JsonObject, type: string, detail: RegExp][] = [
  [
    'an input that does not fit',
    'input: { schema: { document: { type: object, required: [order] } } }\ndo: [ { a: { set: { b: 1 } } } ]',
    {},
    'validation',
    /order is required/,
  ],
  [
    'an expression on a missing field',
    "do: [ { a: { set: { b: '${ input.none.deeper }' } } } ]",
    {},
    'expression',
    /none/,
  ],
  [
    'a condition that is no yes or no',
    'do: [ { a: { if: input.x, set: { b: 1 } } } ]',
    { x: 3 },
    'expression',
    /true or false/,
  ],
  [
    "a primitive's input that does not fit",
    "do: [ { a: { call: echo:1@default, with: { n: '${ input.x }' } } } ]",
    { x: 'three' },
    'validation',
    /must be number/,
  ],
  [
    'for over what is not a list',
    'do: [ { f: { for: { in: input.x }, do: [ { a: { set: { b: 1 } } } ] } } ]',
    { x: 3 },
    'validation',
    /not a list/,
  ],
  [
    'an error that no filter takes',
    'do: [ { t: { try: [ { r: { raise: { error: { type: a/b, status: 400 } } } } ], catch: { errors: { with: { type: c } } } } } ]',
    {},
    'b',
    /b/,
  ],
  [
    'emit without an event log',
    'do: [ { e: { emit: { event: { with: { type: t } } } } } ]',
    {},
    'runtime',
    /no event log/,
  ],
];

describe('the interpreter', () => {
  it.each(FLOWS)('%s', async (_, text, input, output) => {
    expect(await run(text, input)).toEqual({ output });
  });

  it.each(FAILURES)('fails a run on %s', async (_, text, input, type, detail) => {
    const { error } = await run(text, input);
    expect(error?.type.split('/').at(-1)).toBe(type);
    expect(`${error?.detail ?? ''} ${error?.title}`).toMatch(detail);
  });

  it('runs loops of any length in one key each', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.integer({ min: -9, max: 9 }), { maxLength: 40 }), async (list) => {
        const text =
          "do: [ { f: { for: { each: x, in: input.list }, do: [ { a: { call: echo:1@default, with: { n: '${ x }' } } } ] } } ]";
        expect(await run(text, { list })).toEqual({
          output: list.length > 0 ? { n: list.at(-1) } : { list },
        });
      }),
      { numRuns: 20 },
    );
  });

  it.each([
    ['of steps that wait for nothing', 'do: [ { a: { set: { n: 1 }, then: a } } ]'],
    [
      'of steps that are left out',
      'do: [ { a: { if: input.go, wait: P1D } }, { b: { switch: [ { c: { then: a } } ] } } ]',
    ],
    ['of calls', 'do: [ { a: { call: echo:1@default, with: { n: 1 }, then: a } } ]'],
    [
      'that catches every error',
      'do: [ { a: { try: [ { r: { raise: { error: { type: a/b, status: 400 } } } } ], catch: { then: a } } } ]',
    ],
  ])('ends a loop %s at a limit', async (_, text) => {
    const { error } = await run(text, { go: false }, 'runStepsMax=1000');
    expect(error).toMatchObject({ status: 500, code: 'workflow.too_many_steps' });
    expect(error?.detail).toContain('more than 1000 steps (runStepsMax)');
  });

  it('lets others have their turn between the steps of a loop that waits for nothing', async () => {
    // Each look at the clock, one in 64 steps, finds 1 ms later than the last: how fast this machine is does not matter.
    let ms = 0;
    const now = vi.spyOn(performance, 'now').mockImplementation(() => ms++);
    let turns = 0;
    let over = false;
    const count = () => {
      turns++;
      if (!over) setImmediate(count);
    };
    setImmediate(count);
    try {
      await run('do: [ { a: { set: { n: 1 }, then: a } } ]', {}, 'runStepsMax=6400,runTurnMs=1');
    } finally {
      over = true;
      now.mockRestore();
    }
    expect(turns).toBeGreaterThanOrEqual(90);
  });

  it('imports nothing of Node, nor does what it is compiled from', () => {
    const seen = new Set<string>();
    const visit = (file: string): void => {
      if (seen.has(file)) return;
      seen.add(file);
      for (const [, specifier] of readFileSync(file, 'utf8').matchAll(
        /^(?:import|export) (?!type).*?from '(.+?)';/gms,
      )) {
        expect(`${file} → ${specifier}`).not.toMatch(/→ node:/);
        if (specifier!.startsWith('.')) visit(join(dirname(file), specifier!));
      }
    };
    visit(join(import.meta.dirname, 'interpreter.ts'));
    visit(join(import.meta.dirname, '..', 'language', 'compile.ts'));
    expect(seen.size).toBeGreaterThan(8);
  });
});
