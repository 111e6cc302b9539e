import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Definitions, definitionMigrations } from '../store/definitions.ts';
import { planProject } from '../store/project.ts';
import { createTestDatabase, type TestDatabase } from '../testing/database.ts';
import { entityKind, featureServiceKind, featureViewKind } from './definitions.ts';
import { type FeatureProcess, FeaturesUnderTest, pushOf } from './features-under-test.ts';

const ENTITY = 'name: customer\njoinKeys: [customer]';
const SCORES =
  'name: scores\nentity: customer\nsource: { push: scores }\nfeatures: { score: { type: float64 } }';
const RISK = `name: risk
source: { views: [scores], request: { amount: float64 } }
module: risk.ts
features:
  weighted: { type: float64 }
  level: { type: string, function: levelOf }
  doubled: { type: float64, expression: 2.0 * score }`;
const CODE = `export interface Row { features: { score: number | null }; request: { amount: number }; nowMs: number }
export const weighted = ({ features, request }: Row) => features.score === null ? null : features.score * request.amount;
export function levelOf({ features: { score } }: Row): string { return (score ?? 0) > 0.5 ? 'high' : 'low'; }
`;
const SERVICE = `name: risk
views: [risk]
derived: { twice: 'weighted == null ? -1.0 : 2.0 * weighted' }
features: [twice, level, weighted, doubled]
defaults: { weighted: 0 }`;

describe('on-demand views in TypeScript', () => {
  let features: FeaturesUnderTest;
  let process: FeatureProcess;
  beforeAll(async () => {
    features = await FeaturesUnderTest.open();
    await features.put(entityKind, ENTITY);
    await features.put(featureViewKind, SCORES);
    await features.put(featureViewKind, RISK.replace('module: risk.ts', `code: ${JSON.stringify(CODE)}`));
    await features.put(featureServiceKind, SERVICE);
    process = await features.start();
    await pushOf(features, process, () => 1_000).push.push('scores', [
      { customer: 'a', score: 0.25 },
      { customer: 'b', score: 0.75 },
    ]);
  });
  afterAll(() => features.close());

  it('compute alike online and in the past, for all rows of a question, beside expressions and what is derived', async () => {
    const entities = [{ customer: 'a' }, { customer: 'b' }, { customer: 'c' }];
    const request = { amount: 10 };
    const expected = [
      [5, 'low', 2.5, 0.5],
      [15, 'high', 7.5, 1.5],
    ];
    const asOf = { timeMs: 2_000 };
    const online = await process.store.online({
      service: 'risk',
      entities: entities.slice(0, 2),
      asOf,
      request,
    });
    expect(online.rows).toEqual(expected);
    const { rows } = await process.store.historical(
      'risk',
      entities.slice(0, 2).map((keys) => ({ keys, asOf, request })),
    );
    expect(rows).toEqual(expected);
    expect(online.pins.map(({ kind, name }) => `${kind} ${name}`)).toContain('feature-view risk');
  });

  it('say which row of a question fails, online and of the past, however many are in front of it', async () => {
    const request = { amount: 10 };
    const keys = (customer: string) => ({ keys: { customer }, asOf: { timeMs: 2_000 }, request });
    const online = (...customers: string[]) =>
      process.store.online({
        ...{ service: 'risk', entities: customers.map((customer) => ({ customer })), request },
      });
    const past = (...customers: string[]) => process.store.historical('risk', customers.map(keys));
    const many = Array.from({ length: 700 }, () => 'a');
    const message = 'The feature risk.doubled: 2.0 * score: no such overload';
    const failed = (row?: number) => ({
      code: 'expression.failed',
      message: expect.stringContaining(row === undefined ? message : `Row ${row}: ${message}`),
      extensions: row === undefined ? {} : { row },
    });
    await expect(online('unknown')).rejects.toMatchObject(failed());
    await expect(online('a', 'unknown', 'b')).rejects.toMatchObject(failed(2));
    await expect(past(...many, 'b', 'unknown')).rejects.toMatchObject(failed(702));
    await features.put(
      featureViewKind,
      `name: strict\nsource: { views: [scores] }\ncode: 'export const strict = ({ features }) => features.score.toFixed()'\nfeatures: { strict: { type: string } }`,
    );
    await features.put(featureServiceKind, 'name: strict\nviews: [strict]');
    await process.definitions.reload();
    const strict = process.store.historical('strict', [...many, 'unknown'].map(keys));
    await expect(strict).rejects.toMatchObject({
      ...{ code: 'features.function_failed', extensions: { row: 701 } },
      message: expect.stringContaining('Row 701: strict.ts: strict: '),
    });
  });

  it('are refused values of another type, and requests that lack what they declare', async () => {
    const ask = (request: object) =>
      process.store.online({ service: 'risk', entities: [{ customer: 'a' }], request: request as never });
    await expect(ask({})).rejects.toMatchObject({ code: 'features.missing_request' });
    await expect(ask({ amount: 'much' })).rejects.toMatchObject({ code: 'features.invalid_value' });
  });
});

describe('the code of an on-demand view, when it is planned', () => {
  let database: TestDatabase;
  beforeAll(async () => {
    database = await createTestDatabase(definitionMigrations);
  });
  afterAll(() => database.close());

  const plan = (risk: string, code: string | undefined) => {
    const files = {
      'entities/customer.yaml': ENTITY,
      'features/scores.yaml': SCORES,
      'features/risk.yaml': risk,
      ...(code === undefined ? {} : { 'features/risk.ts': code }),
      'services/risk.yaml': SERVICE,
    };
    return planProject(
      Object.entries(files).map(([path, text]) => ({ path, bytes: new TextEncoder().encode(text) })),
      [entityKind, featureViewKind, featureServiceKind],
      new Definitions(database.db),
    );
  };

  it('is kept with the view, so that a change of the code is a change of the view', async () => {
    const bodies = await Promise.all([CODE, CODE.replace('0.5', '0.6')].map((code) => plan(RISK, code)));
    const [body, other] = bodies.map((planned) => planned.find(({ name }) => name === 'risk')!.body);
    expect(body).toMatchObject({ module: 'risk.ts', code: CODE });
    expect(other).not.toEqual(body);
  });

  it.each([
    ['is not there', RISK, undefined, 'definition.reference', '/module', 'no file features/risk.ts'],
    ['is no TypeScript', RISK, 'export const weighted = (', 'definition.invalid', '/module', 'does not load'],
    [
      'lacks a function',
      RISK,
      CODE.replace('levelOf', 'other'),
      'definition.invalid',
      '/features/level',
      'exports no function “levelOf”',
    ],
    [
      'imports',
      RISK,
      `import { readFileSync } from 'node:fs';\n${CODE}`,
      'definition.invalid',
      '/module',
      "could not load module 'node:fs'",
    ],
    ['does not end when it loads', RISK, 'for (;;);', 'definition.invalid', '/module', 'featureFunctionMs'],
    ['is given twice', `${RISK}\ncode: ''`, CODE, 'definition.invalid', '/code', 'one of the two'],
    [
      'is called by nobody',
      RISK.replace(/ {2}weighted.*\n.*\n/, ''),
      CODE,
      'definition.invalid',
      '/code',
      'no feature calls',
    ],
  ])('is refused where it %s, with the place', async (_, risk, code, error, path, message) => {
    await expect(plan(risk, code)).rejects.toMatchObject({
      code: error,
      issues: expect.arrayContaining([
        expect.objectContaining({
          file: 'features/risk.yaml',
          path,
          message: expect.stringContaining(message),
        }),
      ]),
    });
  });
});
