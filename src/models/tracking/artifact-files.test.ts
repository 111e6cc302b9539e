import { createHash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { systemClock } from '../../kernel/clock.ts';
import { createTestDatabase, type TestDatabase } from '../../testing/database.ts';
import { modelMigrations } from '../lanes.ts';
import { ArtifactCollection, type CollectedFiles } from './artifact-collection.ts';
import { ArtifactUploads } from './artifact-uploads.ts';
import { TrackingArtifacts } from './artifacts.ts';
import { Experiments } from './experiments.ts';
import { LoggedModels } from './logged-models.ts';
import { trackingMigrations } from './migrations.ts';
import { TrainingRuns } from './training-runs.ts';

const MIB = 1024 * 1024;
const DAY = 86_400_000;

describe('files of training', () => {
  let database: TestDatabase;
  let artifacts: TrackingArtifacts;
  let uploads: ArtifactUploads;
  let experiments: Experiments;
  let runs: TrainingRuns;
  let models: LoggedModels;
  let collection: ArtifactCollection;
  const collected: CollectedFiles[] = [];
  let nowMs = Date.UTC(2026, 0, 1);

  beforeAll(async () => {
    database = await createTestDatabase(
      [...modelMigrations, ...trackingMigrations],
      `trackingArtifactBytesMax=${20 * MIB},trackingCollectCountMax=2`,
    );
    const { db, commit, limits } = database;
    const deps = { db, commit, limits, clock: { ...systemClock, now: () => nowMs } };
    artifacts = new TrackingArtifacts(deps);
    uploads = new ArtifactUploads(deps, artifacts);
    experiments = new Experiments(deps);
    runs = new TrainingRuns(deps, experiments);
    models = new LoggedModels(deps, experiments);
    collection = new ArtifactCollection({
      ...deps,
      record: (each) => {
        collected.push(each);
        return [];
      },
    });
  });
  afterAll(() => database.close());

  const read = async (path: string) =>
    Buffer.concat(await Array.fromAsync((await artifacts.open(path)).content));
  const count = async (table: string) => (await database.db.queryDynamic(`select from ${table}`)).length;
  async function* pieces(bytes: Buffer, size = 100_000) {
    for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
  }
  const random = (length: number, seed: number) =>
    Buffer.alloc(length, createHash('sha512').update(String(seed)).digest());

  it.each([0, 7, 4 * MIB, 9 * MIB + 1])('are kept as they come: %i bytes', async (length) => {
    const bytes = random(length, length);
    await uploads.put(`s/${length}.bin`, pieces(bytes));
    expect((await artifacts.open(`s/${length}.bin`)).sizeBytes).toBe(length);
    expect((await read(`s/${length}.bin`)).equals(bytes)).toBe(true);
    const [row] = await artifacts
      .below('s')
      .then((all) => all.filter(({ path }) => path === `${length}.bin`));
    expect(row!.digest).toBe(`sha256:${createHash('sha256').update(bytes).digest('hex')}`);
    // The same bytes once more, in other pieces and under another name, are the same content.
    await uploads.put(`t/${length}.bin`, pieces(bytes, 3 * MIB));
    expect((await read(`t/${length}.bin`)).equals(bytes)).toBe(true);
    expect(await count('training_uploads')).toBe(0);
  });

  it('that are too large, or whose sender goes away, leave nothing', async () => {
    const before = await count('artifact_chunks');
    await expect(uploads.put('s/large', pieces(random(21 * MIB, 1), MIB))).rejects.toMatchObject({
      extensions: { limitName: 'trackingArtifactBytesMax' },
    });
    async function* breaking() {
      yield random(6 * MIB, 2);
      throw new Error('gone');
    }
    await expect(uploads.put('s/broken', breaking())).rejects.toThrow('gone');
    expect([await count('training_upload_parts'), await count('artifact_chunks')]).toEqual([0, before]);
    await expect(artifacts.open('s/broken')).rejects.toMatchObject({ code: 'experiments.unknown' });
  });

  it('come in parts in any order, and become a file when all are there', async () => {
    const parts = [random(5 * MIB, 3), random(5 * MIB, 4), random(10, 5)];
    const id = await uploads.begin('m/parts.bin');
    const etags: string[] = [];
    for (const at of [2, 0, 1]) etags[at] = await uploads.part(id, at + 1, parts[at]!);
    const named = etags.map((etag, at) => ({ number: at + 1, etag: `"${etag}"` }));
    for (const wrong of [
      [named[0]!, named[2]!],
      [named[0]!, { number: 2, etag: named[0]!.etag }, named[2]!],
      [...named, { number: 4, etag: '' }],
    ])
      await expect(uploads.complete(id, wrong)).rejects.toMatchObject({ code: 'request.invalid' });
    await uploads.complete(id, named);
    expect((await read('m/parts.bin')).equals(Buffer.concat(parts))).toBe(true);
    await expect(uploads.complete(id, named)).rejects.toMatchObject({ code: 'experiments.unknown' });
    const given = await uploads.begin('m/given-up.bin');
    await uploads.part(given, 1, parts[0]!);
    await uploads.abort(given);
    expect(await count('training_upload_parts')).toBe(0);
  });

  it('go when their run or model was deleted long ago, a few at a time, unless a version comes of them', async () => {
    await database.db.query('delete from training_artifacts');
    while ((await collection.step()).contents > 0);
    expect(await count('artifacts')).toBe(0);
    const { id: experimentId } = await experiments.create({ name: 'e', by: 'ann' });
    const experiment = String(experimentId);
    const names = ['gone', 'gone too', 'gone as well', 'named', 'back', 'there'];
    const made = new Map<string, string>();
    for (const [at, name] of names.entries()) {
      const { id } = await runs.create({ experimentId: experiment, name, by: 'ann' });
      made.set(name, id);
      await artifacts.put(`${experiment}/${id}/artifacts/a.bin`, random(10 + at, at));
      await artifacts.put(`${experiment}/${id}/artifacts/shared.bin`, random(5, 99));
      if (name !== 'there') await runs.setDeleted(id, true);
    }
    const model = await models.create({ experimentId: experiment, name: 'm', runId: made.get('there') });
    await artifacts.put(`${experiment}/models/${model.id}/artifacts/m.bin`, random(3, 7));
    await models.delete(model.id);
    await database.db.query(`insert into artifacts (digest, bytes) values ('d', 'x')`);
    await database.db.query(
      `insert into model_versions (name, version, runtime, digest, fingerprint, size_bytes, signature, card, metadata, datasets, created_at, created_by)
       values ('v', 1, 'onnx', 'd', 'f', 1, '{}', '{}', '{}', '[]', now(), 'ann')`,
    );
    await database.db.query(
      'insert into registered_versions (name, version, run_id, updated_at) values ($1, 1, $2, now())',
      ['v', made.get('named')],
    );
    await uploads.begin('left');
    nowMs += 29 * DAY;
    expect(await collection.step()).toEqual({ owners: 0, contents: 0 });
    expect(await count('training_uploads')).toBe(0); // a day is enough for these
    await runs.setDeleted(made.get('back')!, false);
    nowMs += 2 * DAY;
    expect([await collection.step(), await collection.step()]).toMatchObject([{ owners: 2 }, { owners: 2 }]);
    while ((await collection.step()).contents > 0);
    expect(collected.map(({ kind, files, bytes }) => [kind, files, bytes]).toSorted()).toEqual([
      ['logged-model', 1, 3],
      ['training-run', 2, 15],
      ['training-run', 2, 16],
      ['training-run', 2, 17],
    ]);
    const kept = await database.db.query<{ path: string }>('select path from training_artifacts');
    expect(new Set(kept.map(({ path }) => path.split('/')[1]))).toEqual(
      new Set(['named', 'back', 'there'].map((name) => made.get(name))),
    );
    // Three of their own, the shared one, and the one of the version.
    expect(await count('artifacts')).toBe(5);
    expect(await runs.get(made.get('gone')!)).toMatchObject({ name: 'gone', isDeleted: true });
  });
});
