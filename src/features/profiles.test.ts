import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { entityKind, featureServiceKind, featureViewKind } from './definitions.ts';
import { DAY, type FeatureProcess, FeaturesUnderTest, order, pushOf } from './features-under-test.ts';
import { FeatureProfiles } from './profiles.ts';

describe('profiles that are saved', () => {
  let features: FeaturesUnderTest;
  let process: FeatureProcess;
  let profiles: FeatureProfiles;
  beforeAll(async () => {
    features = await FeaturesUnderTest.open();
    await features.put(entityKind, 'name: customer\njoinKeys: [customer]');
    const stream = (name: string, more = '') =>
      features.put(
        featureViewKind,
        `name: ${name}\nentity: customer\nsource: { event: order, each: data.lines }\nkeys: { customer: data.customer }${more}\nfeatures: { ${name}_spend: { aggregate: sum, of: item.amount } }`,
      );
    await stream('exact');
    await stream('tiled', '\ntile: 1d');
    await features.put(
      featureViewKind,
      'name: scores\nentity: customer\nsource: { push: s }\nfeatures: { score: { type: float64 } }',
    );
    await features.put(featureServiceKind, 'name: exact\nviews: [exact]');
    process = await features.start();
    const { db, commit, limits } = features.database;
    profiles = new FeatureProfiles({
      db,
      commit,
      clock: { now: () => 3 * DAY },
      views: process.views,
      features: process.store,
      limits,
    });
    await features.feed(
      process,
      Array.from({ length: 40 }, (_, i) =>
        order(`c${i}`, DAY, { partition: 0, offset: i }, [{ product: 'p', amount: i }]),
      ),
    );
    await pushScores(1);
  });
  afterAll(() => features.close());

  const pushScores = (factor: number) =>
    pushOf(features, process, () => 2 * DAY + factor).push.push(
      's',
      Array.from({ length: 40 }, (_, i) => ({ customer: `c${i}`, score: i * factor })),
    );

  it.each(['exact', 'tiled'])('are of a stream view that is %s, as it is now', async (view) => {
    const saved = await profiles.save({ name: view, source: { view }, by: 'ann' }, []);
    expect(saved).toMatchObject({ name: view, version: 1, source: { view }, createdBy: 'ann' });
    expect(saved.profile).toMatchObject({ rows: 40, features: { [`${view}_spend`]: { mean: 19.5 } } });
    expect(await profiles.validate(view, undefined, {})).toMatchObject({
      version: 1,
      rows: 40,
      findings: [],
    });
  });

  it('of pushed rows find that these have changed; saved again, they are the new reference', async () => {
    await profiles.save({ name: 'scores', source: { view: 'scores' }, by: 'ann' }, []);
    await pushScores(10);
    const { findings, current } = await profiles.validate('scores', undefined, {});
    expect(findings.map(({ check }) => check)).toContain('psi');
    expect(current.features.score).toMatchObject({ mean: 195 });
    const again = await profiles.save({ name: 'scores', source: { view: 'scores' }, by: 'bob' }, []);
    expect(again).toMatchObject({ version: 2, createdBy: 'bob' });
    expect((await profiles.validate('scores', undefined, {})).findings).toEqual([]);
    expect((await profiles.list()).map(({ name, version }) => `${name} ${version}`)).toContain('scores 2');
    expect((await profiles.get('scores', 1)).createdBy).toBe('ann');
  });

  it('of vectors of the past are compared with other vectors of the past', async () => {
    const at = (timeMs: number) => ({
      service: 'exact',
      spine: Array.from({ length: 40 }, (_, i) => ({ keys: { customer: `c${i}` }, asOf: { timeMs } })),
    });
    await profiles.save({ name: 'past', source: at(2 * DAY), by: 'ann' }, []);
    expect((await profiles.validate('past', at(2 * DAY), {})).findings).toEqual([]);
    expect((await profiles.validate('past', at(0), {})).findings).not.toEqual([]);
    await expect(profiles.validate('past', undefined, {})).rejects.toMatchObject({
      code: 'features.profile_source',
    });
  });

  it('are refused of what is not there', async () => {
    await expect(profiles.get('nothing')).rejects.toMatchObject({ code: 'features.unknown_profile' });
    await expect(
      profiles.save({ name: 'x', source: { view: 'nothing' }, by: 'a' }, []),
    ).rejects.toMatchObject({
      code: 'features.unknown_view',
    });
  });
});
