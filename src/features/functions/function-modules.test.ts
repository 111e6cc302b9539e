import { afterEach, describe, expect, it } from 'vitest';
import { LIMITS } from '../../kernel/limits.ts';
import { FunctionModules } from './function-modules.ts';

const opened: FunctionModules[] = [];
afterEach(() => {
  for (const modules of opened.splice(0)) modules.close();
});

function modulesWith(
  limits: Partial<ConstructorParameters<typeof FunctionModules>[0]> = {},
): FunctionModules {
  const modules = new FunctionModules({
    featureFunctionMs: LIMITS.featureFunctionMs.value,
    featureFunctionBytesMax: LIMITS.featureFunctionBytesMax.value,
    featureFunctionThreadsMax: LIMITS.featureFunctionThreadsMax.value,
    ...limits,
  });
  opened.push(modules);
  return modules;
}

const row = (features: object, request: object = {}) => JSON.stringify({ features, request, nowMs: 7 });
const source = (code: string) => ({ code, file: 'risk.ts' });

describe('functions of on-demand views', () => {
  it('are TypeScript, and see features, the request and the time of each row', async () => {
    const code = `
      interface Row { features: { score: number }; request: { amount: number }; nowMs: number }
      const half = (value: number): number => value / 2;
      export function weighted({ features, request }: Row): number { return features.score * request.amount; }
      export const at = ({ nowMs }: Row) => nowMs;
      export const none = (_: Row): void => {};
      export const kind = ({ features }: Row) => half(features.score) > 1 ? 'high' : 'low';`;
    const rows = [row({ score: 4 }, { amount: 3 }), row({ score: 1 }, { amount: 2.5 })];
    expect(await modulesWith().compute(source(code), ['weighted', 'at', 'none', 'kind'], rows)).toEqual([
      [12, 7, null, 'high'],
      [2.5, 7, null, 'low'],
    ]);
  });

  it('live in UTC, wherever the machine is', async () => {
    const zone = process.env.TZ;
    process.env.TZ = 'Asia/Kolkata';
    try {
      expect(new Date(0).getTimezoneOffset()).toBe(-330);
      const code = `export const f = () => [new Date(0).getHours(), new Date(2026, 6, 1).getTime(), Date.parse('2026-07-01T00:00:00'),
        new Date(0).getTimezoneOffset(), String(new Date(0))].join();`;
      const july = Date.UTC(2026, 6, 1);
      expect(await modulesWith().compute(source(code), ['f'], [row({})])).toEqual([
        [`0,${july},${july},0,Thu Jan 01 1970 00:00:00 GMT+0000`],
      ]);
    } finally {
      if (zone === undefined) delete process.env.TZ;
      else process.env.TZ = zone;
    }
  });

  it.each([
    ['throws', `throw new Error('no ' + features.score)`, 'risk.ts: f: no 2.'],
    ['reads the clock', 'return Date.now()', 'Date.now() would differ'],
    ['makes a date of now', 'return new Date().getTime()', 'new Date() would differ'],
    [
      'asks the clock behind a date',
      'return new (new Date(0).constructor)().getTime()',
      'new Date() would differ',
    ],
    ['draws lots', 'return Math.random()', 'Math.random() would differ'],
    ['writes into the row', 'features.score = 1; return 1', 'read-only'],
    ['calls out', "return fetch('http://127.0.0.1')", "'fetch' is not defined"],
    ['asks for the process', 'return process.env.HOME', "'process' is not defined"],
    ['recurses without end', 'const g = () => g() + 1; return g()', 'stack overflow'],
  ])('are refused by name when one %s', async (_, body, told) => {
    const code = `export function f({ features }) { if (features.score === 1) return 1; ${body} }`;
    const asked = modulesWith().compute(source(code), ['f'], [row({ score: 1 }), row({ score: 2 })]);
    await expect(asked).rejects.toMatchObject({
      at: 1,
      cause: { code: 'features.function_failed', message: expect.stringContaining(told) },
    });
  });

  it.each([
    ['do not end', 'for (;;);', { featureFunctionMs: 50 }, 'featureFunctionMs'],
    [
      'catch what ends them',
      'for (;;) try { for (;;); } catch {}',
      { featureFunctionMs: 50 },
      'featureFunctionMs',
    ],
    [
      'match without end',
      `return /^(a+)+$/.test('a'.repeat(40) + 'b')`,
      { featureFunctionMs: 50 },
      'featureFunctionMs',
    ],
    [
      'fill the memory',
      'const all = []; for (;;) all.push(new Uint8Array(100_000))',
      { featureFunctionMs: 20_000, featureFunctionBytesMax: 2_000_000 },
      'featureFunctionBytesMax',
    ],
  ])('are stopped when they %s, and answer the next caller anew', async (_, body, limits, told) => {
    const modules = modulesWith(limits);
    const code = source(`export function f({ features }) { if (features.score === 1) return 1; ${body} }`);
    await expect(modules.compute(code, ['f'], [row({ score: 2 })])).rejects.toMatchObject({
      code: 'features.function_stopped',
      message: expect.stringContaining(told),
    });
    expect(await modules.compute(code, ['f'], [row({ score: 1 })])).toEqual([[1]]);
  });

  it('hold up nobody else while they do not end', async () => {
    const modules = modulesWith({ featureFunctionMs: 3_600_000 });
    const quick = source('export const f = ({ features }) => features.score');
    expect(await modules.compute(quick, ['f'], [row({ score: 1 })])).toEqual([[1]]);
    const order: string[] = [];
    const endless = modules
      .compute(source('export const f = () => { for (;;); }'), ['f'], [row({})])
      .catch(() => order.push('endless'));
    await modules.compute(quick, ['f'], [row({ score: 2 })]).then(() => order.push('quick'));
    modules.close();
    await endless;
    expect(order).toEqual(['quick', 'endless']);
  });

  it('take turns where more views are asked than threads are held, and those under way end first', async () => {
    const modules = modulesWith({ featureFunctionThreadsMax: 1 });
    const asked = Array.from({ length: 6 }, (_, n) =>
      modules.compute(source(`export const f = () => ${n % 3}`), ['f'], [row({})]),
    );
    expect((await Promise.all(asked)).flat(2)).toEqual([0, 1, 2, 0, 1, 2]);
  });
});
