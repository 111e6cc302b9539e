import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { systemClock } from '../../kernel/clock.ts';
import { AiosError } from '../../kernel/errors.ts';
import { createTestDatabase, type TestDatabase } from '../../testing/database.ts';
import { modelMigrations } from '../lanes.ts';
import { TrackingArtifacts } from './artifacts.ts';
import { Experiments } from './experiments.ts';
import { parseFilter, parseOrder } from './filter.ts';
import { LoggedModels } from './logged-models.ts';
import { trackingMigrations } from './migrations.ts';
import { TrainingRuns } from './training-runs.ts';

const LIMITS =
  'trackingBatchMetricsMax=10,trackingBatchParamsMax=3,trackingKeyCharsMax=20,trackingParamCharsMax=30,trackingTagCharsMax=40,trackingPageCountMax=4,trackingHistoryCountMax=5,trackingListCountMax=3,trackingFilterCountMax=3,trackingArtifactBytesMax=100';

const textOf = async (artifacts: TrackingArtifacts, path: string) =>
  Buffer.concat(await Array.fromAsync((await artifacts.open(path)).content)).toString();

const codeOf = async (work: () => Promise<unknown> | unknown) => {
  try {
    await work();
    return undefined;
  } catch (error) {
    return error instanceof AiosError ? (error.extensions.limitName ?? error.code) : error;
  }
};

describe('filters of MLflow', () => {
  it.each([
    ['', []],
    ['metrics.auc > 0.8', [['metric', 'auc', '>', 0.8]]],
    ["params.depth != '6'", [['param', 'depth', '!=', '6']]],
    [
      "tags.`my key` LIKE 'a%' and status = 'FINISHED'",
      [
        ['tag', 'my key', 'LIKE', 'a%'],
        ['attribute', 'status', '=', 'FINISHED'],
      ],
    ],
    ['tag."a.b" = "it\'s"', [['tag', 'a.b', '=', "it's"]]],
    ["attr.run_name in ('a', 'b')", [['attribute', 'run_name', 'IN', ['a', 'b']]]],
    ["run_id NOT IN ('a')", [['attribute', 'run_id', 'NOT IN', ['a']]]],
    ['params.x is not null', [['param', 'x', 'IS NOT NULL', null]]],
    ['metrics.val/loss.min <= -1.5e-3', [['metric', 'val/loss.min', '<=', -0.0015]]],
    ["name = 'it''s'", [['attribute', 'name', '=', "it's"]]],
  ])('reads %s', (text, wanted) => {
    const found = parseFilter(text).map(({ entity, key, operator, value }) => [entity, key, operator, value]);
    expect(found).toEqual(wanted);
  });

  it.each([
    "a ~ 'b'",
    'a =',
    'a = b',
    "a = 'b' or c = 'd'",
    "what.a = 'b'",
    "a in 'b'",
    '(a = 1)',
    'a = 1;',
    "a = 'b",
  ])('refuses %s with the place', (text) => {
    expect(() => parseFilter(text)).toThrow(/before character \d+/);
  });

  it('reads orders', () => {
    expect(parseOrder('metrics.auc DESC')).toEqual({ entity: 'metric', key: 'auc', isAscending: false });
    expect(parseOrder('start_time')).toEqual({ entity: 'attribute', key: 'start_time', isAscending: true });
    expect(() => parseOrder('a DESC, b')).toThrow(/experiments|before character/);
  });
});

describe('experiments and their runs', () => {
  let database: TestDatabase;
  let experiments: Experiments;
  let runs: TrainingRuns;
  let models: LoggedModels;
  let artifacts: TrackingArtifacts;
  let experimentId: string;
  beforeAll(async () => {
    database = await createTestDatabase([...modelMigrations, ...trackingMigrations], LIMITS);
    const ground = { ...database, clock: systemClock };
    experiments = new Experiments(ground);
    runs = new TrainingRuns(ground, experiments);
    models = new LoggedModels(ground, experiments);
    artifacts = new TrackingArtifacts(ground);
    experimentId = String((await experiments.create({ name: 'one', by: 'key' })).id);
  });
  afterAll(() => database.close());

  it('keep the last value of a metric by step, time and value, whatever the order of arrival', async () => {
    const value = fc.constantFrom(0, 1, -1, 0.5, Number.NaN, Number.POSITIVE_INFINITY);
    const metric = fc.record({ step: fc.nat(2), atMs: fc.nat(2), value });
    await fc.assert(
      fc.asyncProperty(fc.array(metric, { minLength: 1, maxLength: 8 }), fc.nat(8), async (all, cut) => {
        const { id } = await runs.create({ experimentId, by: 'key' });
        const metrics = all.map((each) => ({ key: 'm', ...each }));
        await runs.log(id, { metrics: metrics.slice(0, cut) });
        await runs.log(id, { metrics: metrics.slice(cut) });
        const rank = (v: number) =>
          Number.isNaN(v) ? Number.MAX_VALUE : v === Number.POSITIVE_INFINITY ? 1e9 : v;
        const [last] = all.toSorted(
          (a, b) => b.step - a.step || b.atMs - a.atMs || rank(b.value) - rank(a.value),
        );
        expect((await runs.get(id)).metrics).toEqual([{ runId: id, key: 'm', ...last }]);
      }),
      { numRuns: 25 },
    );
  });

  it('are made once for several who name a new one at the same time', async () => {
    // Each has looked before any of them wrote.
    const find = vi.spyOn(experiments, 'find').mockResolvedValueOnce(undefined);
    const one = await experiments.ensure('one', 'key');
    find.mockRestore();
    expect(String(one.id)).toBe(experimentId);
    const made = await Promise.all([1, 2, 3].map(() => experiments.ensure('at once', 'key')));
    expect(new Set(made.map(({ id }) => id)).size).toBe(1);
  });

  it('count what is sent twice once', async () => {
    const { id } = await runs.create({ experimentId, by: 'key' });
    const metrics = [1, 2, 3].map((step) => ({ key: 'loss', value: 1 / step, atMs: step, step }));
    for (const _ of [1, 2]) await runs.log(id, { metrics, params: [{ key: 'a', value: '1' }] });
    expect((await runs.history(id, 'loss')).items.map(({ step }) => step)).toEqual([1, 2, 3]);
    await runs.link(id, { outputs: [{ model_id: 'm-1', step: 0 }] });
    await runs.link(id, { outputs: [{ model_id: 'm-1', step: 0 }] });
    expect((await runs.get(id)).modelOutputs).toHaveLength(1);
  });

  it('write a parameter once', async () => {
    const { id } = await runs.create({ experimentId, by: 'key' });
    await runs.log(id, { params: [{ key: 'a', value: '1' }] });
    expect(await codeOf(() => runs.log(id, { params: [{ key: 'a', value: '2' }] }))).toBe(
      'experiments.param_kept',
    );
    const twice = [
      { key: 'b', value: '1' },
      { key: 'b', value: '2' },
    ];
    expect(await codeOf(() => runs.log(id, { params: twice }))).toBe('experiments.param_kept');
  });

  it('hold to the limits, by name', async () => {
    const { id } = await runs.create({ experimentId, by: 'key' });
    const metric = { key: 'm', value: 1, atMs: 1, step: 1 };
    const param = (length: number, key = 'p') => [{ key, value: 'v'.repeat(length) }];
    expect(await codeOf(() => runs.log(id, { metrics: Array(11).fill(metric) }))).toBe(
      'trackingBatchMetricsMax',
    );
    expect(await codeOf(() => runs.log(id, { params: Array(4).fill(param(1)[0]) }))).toBe(
      'trackingBatchParamsMax',
    );
    expect(await codeOf(() => runs.log(id, { tags: param(1, 'k'.repeat(21)) }))).toBe('trackingKeyCharsMax');
    expect(await codeOf(() => runs.log(id, { params: param(31) }))).toBe('trackingParamCharsMax');
    expect(await codeOf(() => runs.log(id, { tags: param(41) }))).toBe('trackingTagCharsMax');
    expect(await codeOf(() => artifacts.put('a/b', new Uint8Array(101)))).toBe('trackingArtifactBytesMax');
    await runs.log(id, { params: param(30), tags: param(40) });
  });

  it('page without repeating or skipping', async () => {
    const own = String((await experiments.create({ name: 'pages', by: 'key' })).id);
    const names = ['a', 'b', 'c', 'd', 'e', 'f'];
    for (const name of names) {
      const { id } = await runs.create({ experimentId: own, name, startedMs: 5, by: 'key' });
      await runs.log(id, { metrics: [{ key: 'm', value: name < 'd' ? 1 : Number.NaN, atMs: 1, step: 1 }] });
    }
    const seen: string[] = [];
    let pageToken: string | undefined;
    do {
      const page = await runs.search({
        experimentIds: [own],
        orderBy: ['metrics.m ASC'],
        maxResults: 100,
        pageToken,
      });
      expect(page.items.length).toBeLessThanOrEqual(4); // trackingPageCountMax
      seen.push(...page.items.map(({ name }) => name));
      pageToken = page.nextPageToken;
    } while (pageToken);
    expect(seen.toSorted()).toEqual(names);
    expect(seen.slice(0, 3).toSorted()).toEqual(['a', 'b', 'c']); // NaN stands last
    expect(await codeOf(() => runs.search({ experimentIds: [own], pageToken: 'x' }))).toBe(
      'experiments.filter_invalid',
    );
    expect(await codeOf(() => runs.search({ experimentIds: [own], filter: "metrics.m = 'a'" }))).toBe(
      'experiments.filter_invalid',
    );
    expect(await codeOf(() => runs.search({ experimentIds: [own], filter: 'attributes.nothing = 1' }))).toBe(
      'experiments.filter_invalid',
    );
  });

  it('take as many comparisons and names to order by as the limit says', async () => {
    const own = String((await experiments.create({ name: 'wide', by: 'key' })).id);
    const search = (filter: string, orderBy: string[] = []) =>
      codeOf(() => runs.search({ experimentIds: [own], filter, orderBy }));
    const times = (count: number, text: string) => Array.from({ length: count }, () => text);
    expect(await search(times(3, "tags.a = '1'").join(' and '))).toBeUndefined();
    expect(await search(times(4, "tags.a = '1'").join(' and '))).toBe('trackingFilterCountMax');
    expect(await search('', times(4, 'metrics.a desc'))).toBe('trackingFilterCountMax');
    expect(await search(`tags.a in (${times(9, "'x'").join(',')})`)).toBeUndefined();
  });

  it('take the words of a filter as values, never as SQL', async () => {
    const filter = "tags.`a' or true --` = 'b'' or true --'";
    expect((await runs.search({ experimentIds: [experimentId], filter })).items).toEqual([]);
  });

  it('give a history in pages', async () => {
    const { id } = await runs.create({ experimentId, by: 'key' });
    const metrics = [1, 2, 3, 4, 5, 6, 7].map((step) => ({ key: 'm', value: step, atMs: step, step }));
    await runs.log(id, { metrics });
    const first = await runs.history(id, 'm');
    expect(first.items.map(({ step }) => step)).toEqual([1, 2, 3, 4, 5]);
    const { items, nextPageToken } = await runs.history(id, 'm', { pageToken: first.nextPageToken });
    expect([items.map(({ step }) => step), nextPageToken]).toEqual([[6, 7], undefined]);
  });

  it('refuse what is deleted, and take it back', async () => {
    const gone = await experiments.create({ name: 'gone', by: 'key' });
    await experiments.setDeleted(String(gone.id), true);
    expect(await codeOf(() => runs.create({ experimentId: String(gone.id), by: 'key' }))).toBe(
      'experiments.deleted',
    );
    expect(await codeOf(() => experiments.create({ name: 'gone', by: 'key' }))).toBe('experiments.exists');
    await experiments.setDeleted(String(gone.id), false);
    const { id } = await runs.create({ experimentId: String(gone.id), by: 'key' });
    await runs.setDeleted(id, true);
    expect(await codeOf(() => runs.log(id, { tags: [{ key: 'a', value: 'b' }] }))).toBe(
      'experiments.deleted',
    );
    expect(await codeOf(() => runs.get('none'))).toBe('experiments.unknown');
    expect(await codeOf(() => experiments.get("1'"))).toBe('experiments.unknown');
  });

  it('tell of logged models with their own metrics', async () => {
    const { id: runId } = await runs.create({ experimentId, by: 'key' });
    const model = await models.create({ experimentId, runId, name: 'm', params: [{ key: 'a', value: '1' }] });
    await runs.log(runId, { metrics: [{ key: 'auc', value: 0.9, atMs: 1, step: 1, modelId: model.id }] });
    await models.finish(model.id, 'LOGGED_MODEL_READY');
    const { items } = await models.search({
      experimentIds: [experimentId],
      filter: "metrics.auc > 0.8 AND params.a = '1'",
    });
    expect(items).toMatchObject([
      { id: model.id, status: 'LOGGED_MODEL_READY', metrics: [{ key: 'auc', value: 0.9 }] },
    ]);
    await models.delete(model.id);
    expect(await codeOf(() => models.get(model.id))).toBe('experiments.unknown');
  });

  it('keep files by their path, and list a folder at a time', async () => {
    const bytes = new TextEncoder().encode('text');
    for (const path of ['x/a.txt', 'x/b/c.txt', 'x/b/d.txt', 'x-other.txt']) await artifacts.put(path, bytes);
    expect(await artifacts.list('x')).toEqual([
      { path: 'a.txt', isFolder: false, sizeBytes: 4 },
      { path: 'b', isFolder: true, sizeBytes: null },
    ]);
    for (const path of ['x/e.txt', 'x/f.txt']) await artifacts.put(path, bytes);
    expect(await artifacts.list('x')).toHaveLength(3); // trackingListCountMax
    await artifacts.delete('x/b');
    expect(await codeOf(() => artifacts.open('x/b/c.txt'))).toBe('experiments.unknown');
    expect(await textOf(artifacts, 'x/a.txt')).toBe('text');
    for (const path of ['../a', 'a/../b', ''])
      expect(await codeOf(() => artifacts.put(path, bytes))).toBe('request.invalid');
  });
});
