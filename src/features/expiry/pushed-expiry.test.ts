import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { entityKind, featureServiceKind, featureViewKind } from '../definitions.ts';
import { type FeatureProcess, FeaturesUnderTest } from '../features-under-test.ts';
import type { AsOf } from '../windows/state.ts';
import { FeatureExpiry } from './expiry.ts';

const RETENTION_MS = 3_600_000;
const HORIZON_MS = 1_000_000;

interface Row {
  entity: string;
  timeMs: number;
  createdMs: number;
  score: number;
}

describe('the history of what was pushed', () => {
  let features: FeaturesUnderTest;
  let process: FeatureProcess;
  beforeEach(async () => {
    features = await FeaturesUnderTest.open();
    await features.put(entityKind, 'name: customer\njoinKeys: [customer]');
    await features.put(
      featureViewKind,
      'name: scores\nentity: customer\nsource: { push: scores }\nretention: 1h\nfeatures: { score: { type: float64 } }',
    );
    await features.put(featureServiceKind, 'name: scores\nviews: [scores]');
    process = await features.start();
  });
  afterEach(() => features.close());

  const expiryOf = ({ views, store }: FeatureProcess, nowMs: number, featureExpireRowsMax = 3) => {
    const { db, limits } = features.database;
    return new FeatureExpiry({
      db,
      views,
      horizons: store.horizons,
      clock: { now: () => nowMs },
      limits: { ...limits, featureExpireRowsMax },
    });
  };
  const passed = async (horizonMs: number) => {
    const expiry = expiryOf(process, horizonMs + RETENTION_MS);
    let steps = 1;
    while (await expiry.step()) steps++;
    return steps;
  };
  const push = (rows: readonly Row[]) =>
    features.database.db.transaction((tx) =>
      process.rows.pushed.write(
        tx,
        'scores',
        rows.map(({ entity, timeMs, createdMs, score }) => ({
          entity,
          timeMs,
          createdMs,
          validToMs: null,
          values: { score },
        })),
      ),
    );
  const kept = () =>
    features.database.db.query<Row>(
      `select entity, time_ms as "timeMs", created_ms as "createdMs", (feature_values->>'score')::float8 as score from feature_pushed order by 1, 2, 3, 4`,
    );
  const past = async (...asked: { entity: string; asOf: AsOf }[]) =>
    (
      await process.store.historical(
        'scores',
        asked.map(({ entity, asOf }) => ({ keys: { customer: entity }, asOf })),
      )
    ).rows.map(([score]) => score);
  const row = (entity: string, timeMs: number, score: number, createdMs = timeMs): Row => ({
    entity,
    timeMs,
    createdMs,
    score,
  });

  it('loses what was overtaken before the horizon, page by page, and keeps the newest row from before it', async () => {
    await push([
      ...Array.from({ length: 10 }, (_, index) => row('a', HORIZON_MS - 10 + index, index)),
      row('a', HORIZON_MS + 1, 100),
      row('gone', HORIZON_MS - 500_000, 7),
    ]);
    expect(await passed(HORIZON_MS)).toBeGreaterThan(3);
    expect(await kept()).toEqual([
      row('a', HORIZON_MS - 1, 9),
      row('a', HORIZON_MS + 1, 100),
      row('gone', HORIZON_MS - 500_000, 7),
    ]);
    const at = (entity: string, timeMs: number) => ({ entity, asOf: { timeMs } });
    expect(await past(at('a', HORIZON_MS), at('a', HORIZON_MS + 1), at('gone', HORIZON_MS))).toEqual([
      9, 100, 7,
    ]);
    await expect(past(at('a', HORIZON_MS - 1))).rejects.toMatchObject({ code: 'features.state_gone' });
    const early = { timeMs: HORIZON_MS, recordedByMs: HORIZON_MS - 1 };
    await expect(past({ entity: 'a', asOf: early })).rejects.toMatchObject({ code: 'features.state_gone' });
  });

  it('keeps a row that was overtaken by one of which nobody knew at the horizon', async () => {
    await push([
      row('a', HORIZON_MS - 20, 1),
      row('a', HORIZON_MS - 10, 2),
      row('a', HORIZON_MS - 5, 3, HORIZON_MS + 5),
    ]);
    await passed(HORIZON_MS);
    expect((await kept()).map(({ score }) => score)).toEqual([2, 3]);
    const known = { timeMs: HORIZON_MS, recordedByMs: HORIZON_MS };
    expect(await past({ entity: 'a', asOf: known })).toEqual([2]);
  });

  it('answers of any time while nothing has gone, and is left alone until a part of the retention has passed', async () => {
    await push([row('a', HORIZON_MS - 10, 1)]);
    await passed(HORIZON_MS);
    expect(await past({ entity: 'a', asOf: { timeMs: HORIZON_MS - 10 } })).toEqual([1]);
    await push([row('a', HORIZON_MS - 5, 2)]);
    await passed(HORIZON_MS + 1);
    expect(await kept()).toHaveLength(2);
    await passed(HORIZON_MS + RETENTION_MS / 32);
    expect(await kept()).toHaveLength(1);
  });

  it('is gone through by one process at a time, and by another one where that ended', async () => {
    await push(Array.from({ length: 20 }, (_, index) => row(`e${index % 2}`, index, index)));
    const first = expiryOf(process, HORIZON_MS + RETENTION_MS);
    const second = expiryOf(await features.start(), HORIZON_MS + RETENTION_MS);
    await Promise.all([first.step(), second.step()]);
    while (await second.step());
    expect((await kept()).map(({ score }) => score)).toEqual([18, 19]);
  });

  it('gives the answers of before for every time that may be asked for', { timeout: 120_000 }, async () => {
    const span = { min: HORIZON_MS - 4, max: HORIZON_MS + 4 };
    const drawn = fc.record({
      entity: fc.constantFrom('a', 'b', 'c'),
      timeMs: fc.integer(span),
      createdMs: fc.integer(span),
      score: fc.integer({ min: 0, max: 12 }),
    });
    const times = Array.from({ length: 6 }, (_, index) => HORIZON_MS + index);
    const asked = ['a', 'b', 'c'].flatMap((entity) =>
      times.flatMap((timeMs) => [
        { entity, asOf: { timeMs } },
        ...times.map((recordedByMs) => ({ entity, asOf: { timeMs, recordedByMs } })),
      ]),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(drawn, { minLength: 1, maxLength: 30 }), async (rows) => {
        await features.database.db.query('delete from feature_pushed');
        await features.database.db.query('delete from feature_pushed_expiry');
        await push(rows);
        const before = (await kept()).length;
        await passed(HORIZON_MS);
        expect(await past(...asked)).toEqual(
          asked.map(({ entity, asOf }) => newestOf(rows, entity, asOf)?.score ?? null),
        );
        const left = await kept();
        const old = left.filter(({ timeMs, createdMs }) => timeMs <= HORIZON_MS && createdMs <= HORIZON_MS);
        expect(new Set(old.map(({ entity }) => entity)).size).toBe(old.length);
        const early = past({ entity: 'a', asOf: { timeMs: HORIZON_MS - 1 } });
        if (left.length < before) await expect(early).rejects.toMatchObject({ code: 'features.state_gone' });
        else await early;
      }),
      { numRuns: 40 },
    );
  });
});

/** The rule in the plainest words. */
function newestOf(
  rows: readonly Row[],
  entity: string,
  { timeMs, recordedByMs = Number.POSITIVE_INFINITY }: AsOf,
): Row | undefined {
  const text = ({ score }: Row) => JSON.stringify({ score });
  return rows
    .filter((row) => row.entity === entity && row.timeMs <= timeMs && row.createdMs <= recordedByMs)
    .toSorted((a, b) => b.timeMs - a.timeMs || b.createdMs - a.createdMs || (text(a) < text(b) ? 1 : -1))[0];
}
