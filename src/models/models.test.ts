import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ManualClock } from '../kernel/clock.ts';
import { readDocument } from '../kernel/document.ts';
import { AiosError } from '../kernel/errors.ts';
import type { ProjectFile } from '../store/definition-kind.ts';
import { Definitions, definitionMigrations } from '../store/definitions.ts';
import { type Lane, write } from '../store/lane.ts';
import { createTestDatabase, type TestDatabase } from '../testing/database.ts';
import { modelMigrations } from './lanes.ts';
import type { ModelChange } from './model-change.ts';
import { type ModelDefinition, modelKind } from './model-kind.ts';
import { createModels, type Models } from './models.ts';
import type { RuntimeKinds } from './runtime-kind.ts';
import { type DeclaredSignature, settleSignature, type TensorSpec } from './signature.ts';

const own = {
  inputs: [{ name: 'features', datatype: 'FP32', shape: [-1, 2] }] as TensorSpec[],
  outputs: [{ name: 'probabilities', datatype: 'FP32', shape: [-1, 2] }] as TensorSpec[],
};
const atEndpoint = (url: string) => ({ runtime: 'remote', onnx: undefined, endpoint: { url } });
const by = { kind: 'key', id: 'key_1' };
const runtimes: RuntimeKinds = {
  onnx: {},
  remote: {
    endpoint: { type: 'object', required: ['url'], properties: { url: { type: 'string' } } },
    check: ({ url }) => (url === 'odd' ? [{ path: '/url', message: 'is odd' }] : []),
  },
};
const bytes = (text: string) => new TextEncoder().encode(text);

describe('the registry', () => {
  let database: TestDatabase;
  let definitions: Definitions;
  let changes: ModelChange[] = [];
  let prepared: string[] = [];
  const audit: Lane<ModelChange> = {
    name: 'audit of the test',
    order: 50,
    async write(_tx, items) {
      changes.push(...items);
      return undefined;
    },
  };
  const open = (): Models =>
    createModels({
      db: database.db,
      commit: database.commit,
      clock: new ManualClock(1_000),
      limits: database.limits,
      definitions,
      runtimes,
      async verify({ artifact, endpoint }) {
        const text = endpoint ? String(endpoint.url) : new TextDecoder().decode(artifact);
        if (text.startsWith('model')) return { ok: true, ...own };
        const stage = text === 'crash' ? 'run' : 'load';
        return { ok: false, stage, reason: 'protobuf parsing failed', isLost: text === 'away' };
      },
      record: (change) => [write(audit, change)],
      prepare: async (name, version) => void prepared.push(`${name}/${version}`),
    });

  beforeAll(async () => {
    database = await createTestDatabase([...definitionMigrations, ...modelMigrations], 'modelBytesMax=1000');
    definitions = new Definitions(database.db);
  });
  afterAll(() => database.close());

  it('gives versions, keeps their bytes, and answers a repeated registration with the version that exists', async () => {
    changes = [];
    const models = open();
    const first = await models.register({ name: 'risk', onnx: bytes('model a'), card: { auc: 0.8 }, by });
    expect(first).toMatchObject({
      name: 'risk',
      version: 1,
      status: 'ready',
      sizeBytes: 7,
      createdBy: 'key_1',
      createdAt: 1_000,
    });
    expect(first.signature).toEqual(own);
    const again = await open().register({ name: 'risk', onnx: bytes('model a'), card: { auc: 0.8 }, by });
    expect(again.version).toBe(1);
    const second = await models.register({ name: 'risk', onnx: bytes('model a'), card: { auc: 0.9 }, by });
    expect(second.version).toBe(2);
    expect(Buffer.from(await models.artifact(first.digest)).toString()).toBe('model a');
    expect(changes.map(({ kind, version }) => [kind, version])).toEqual([
      ['model.registered', 1],
      ['model.registered', 2],
    ]);
  });

  it('gives two registrations at once two versions, in two processes too', async () => {
    const names = ['a', 'b', 'c', 'd'];
    const registries = [open(), open()];
    const made = await Promise.all(
      names.map((each, i) => registries[i % 2]!.register({ name: 'many', onnx: bytes(`model ${each}`), by })),
    );
    expect(made.map(({ version }) => version).sort()).toEqual([1, 2, 3, 4]);
  });

  it('keeps a model that another server runs by its endpoint, which is its artifact', async () => {
    changes = [];
    const models = open();
    const made = await models.register({ name: 'far', by, ...atEndpoint('model at a') });
    expect(made).toMatchObject({ version: 1, runtime: 'remote', endpoint: { url: 'model at a' } });
    expect(Buffer.from(await models.artifact(made.digest)).toString()).toBe('{"url":"model at a"}');
    expect(changes).toMatchObject([{ runtime: 'remote', endpoint: { url: 'model at a' } }]);
    const elsewhere = open();
    await elsewhere.reload();
    expect(elsewhere.resolve('far', 1)).toMatchObject({ runtime: 'remote', endpoint: { url: 'model at a' } });
    expect((await elsewhere.register({ name: 'far', by, ...atEndpoint('model at a') })).version).toBe(1);
    expect((await elsewhere.register({ name: 'far', by, ...atEndpoint('model at b') })).version).toBe(2);
  });

  it('tries what would be registered and keeps nothing', async () => {
    const models = open();
    await models.verify({ name: 'tried', onnx: bytes('model'), by });
    await expect(models.verify({ name: 'tried', onnx: bytes('crash'), by }, 'a.yaml')).rejects.toMatchObject({
      code: 'models.not_runnable',
      message: expect.stringContaining('a.yaml: '),
    });
    expect(models.list().map(({ name }) => name)).not.toContain('tried');
  });

  it('moves an alias once it is warm, with its record, and resolves it from memory', async () => {
    const models = open();
    for (const each of ['a', 'b']) await models.register({ name: 'moved', onnx: bytes(`model ${each}`), by });
    expect(() => models.resolve('moved')).toThrow(/no version or alias “champion”/);
    changes = [];
    prepared = [];
    await models.promote({ name: 'moved', alias: 'champion', version: 1, by });
    await models.promote({ name: 'moved', alias: 'champion', version: 2, by });
    await models.promote({ name: 'moved', alias: 'champion', version: 2, by });
    expect(changes).toMatchObject([
      { kind: 'model.promoted', alias: 'champion', version: 1, from: 0, by },
      { kind: 'model.promoted', alias: 'champion', version: 2, from: 1, by },
    ]);
    expect(prepared).toEqual(['moved/1', 'moved/2']);
    expect(
      [undefined, 'champion', 1, '1'].map((reference) => models.resolve('moved', reference).version),
    ).toEqual([2, 2, 1, 1]);
    for (const other of ['0x1', '01', '1.0', '1e0', ' 1', ''])
      expect(() => models.resolve('moved', other)).toThrow(/no version or alias/);
    expect(models.resolve('moved')).toBe(models.resolve('moved', 2));
    expect(models.get('moved')).toMatchObject({
      aliases: { champion: 2 },
      versions: [{ version: 2 }, { version: 1 }],
    });
    const elsewhere = open();
    await elsewhere.reload();
    expect(elsewhere.resolve('moved').version).toBe(2);
    expect(elsewhere.list().map(({ name }) => name)).toContain('moved');
  });

  it('moves an alias from where it stands, even when another process moved it', async () => {
    const [one, two] = [open(), open()];
    for (const each of ['a', 'b']) await one.register({ name: 'raced', onnx: bytes(`model ${each}`), by });
    await Promise.all([
      one.promote({ name: 'raced', alias: 'champion', version: 1, by }),
      two.promote({ name: 'raced', alias: 'champion', version: 2, by }),
    ]);
    await one.reload();
    await two.reload();
    expect(one.resolve('raced').version).toBe(two.resolve('raced').version);
  });

  it.each([
    ['bytes that are no ONNX', { onnx: bytes('PK') }, 'models.not_onnx'],
    ['a model that fails its warm-up', { onnx: bytes('crash') }, 'models.not_runnable'],
    ['a file without its runtime', { runtime: 'remote' }, 'models.invalid'],
    ['a runtime that is not there', { runtime: 'abacus' }, 'models.invalid'],
    ['a server that is away', atEndpoint('away'), 'models.endpoint_unavailable'],
    ['a server without the model', atEndpoint('empty'), 'models.endpoint_refused'],
    ['a model over the limit', { onnx: new Uint8Array(1_001) }, 'request.too_large'],
    ['a name that is none', { name: 'Risk!' }, 'models.invalid'],
    ['a signature of another shape', { signature: { inputs: 'x' } }, 'models.invalid'],
    [
      'a signature that the file does not have',
      { signature: { features: ['a'] } },
      'models.signature_mismatch',
    ],
  ])('refuses %s and keeps nothing', async (_, members, code) => {
    const models = open();
    await models.reload();
    const before = models.list();
    const candidate = { name: 'refused', onnx: bytes('model'), by, ...(members as object) };
    await expect(models.register(candidate)).rejects.toMatchObject({ code });
    await models.reload();
    expect(models.list()).toEqual(before);
  });

  it.each([
    ['an unknown model', { name: 'nobody', alias: 'champion', version: 1 }, 'models.unknown_model'],
    ['an unknown version', { name: 'risk', alias: 'champion', version: 99 }, 'models.unknown_version'],
    ['an alias that reads as a version', { name: 'risk', alias: '7', version: 1 }, 'models.invalid'],
  ])('refuses to promote %s', async (_, promotion, code) => {
    await expect(open().promote({ ...promotion, by })).rejects.toMatchObject({ code });
  });

  it('applies a definition: its first version gets the alias, later ones wait for a promotion; its options reach who serves', async () => {
    const text = 'name: applied\nfile: m.onnx\ncard: card.md\nserving: { batchMax: 16 }';
    const files = (onnx: string) =>
      new Map<string, ProjectFile>([
        ['models/applied/m.onnx', { path: 'models/applied/m.onnx', bytes: bytes(onnx) }],
        ['models/applied/card.md', { path: 'models/applied/card.md', bytes: bytes('# Card') }],
      ]);
    const models = open();
    for (const [version, onnx] of [
      [1, 'model a'],
      [2, 'model b'],
    ] as const) {
      const { name, body } = modelKind(runtimes).parse(
        readDocument(text, 'models/applied/model.yaml'),
        files(onnx),
      );
      await database.commit.commit([
        definitions.put({ kind: 'model', name, body, source: text, createdBy: 'x' }),
      ]);
      await definitions.reload();
      const made = await models.applyDefinition({
        ...(body as unknown as ModelDefinition),
        onnx: bytes(onnx),
        by,
      });
      expect(made).toMatchObject({ version, card: { markdown: '# Card' } });
    }
    expect(models.resolve('applied')).toMatchObject({ version: 1, serving: { batchMax: 16, replicas: 1 } });
  });
});

describe('a model definition', () => {
  it.each([
    ['a file that is not in the project', 'name: m\nfile: none.onnx', 'definition.reference', '/file', 2],
    ['neither file nor endpoint', 'name: m', 'definition.invalid', '/file', 1],
    ['an unknown runtime', 'name: m\nruntime: abacus', 'definition.invalid', '/runtime', 2],
    ['no endpoint', 'name: m\nruntime: remote', 'definition.invalid', '/endpoint', 1],
    [
      'an endpoint that its schema refuses',
      'name: m\nruntime: remote\nendpoint:\n  url: 7',
      'definition.invalid',
      '/endpoint/url',
      4,
    ],
    [
      'an endpoint that its runtime refuses',
      'name: m\nruntime: remote\nendpoint: { url: odd }',
      'definition.invalid',
      '/endpoint/url',
      3,
    ],
    ['a file that is no ONNX by name', 'name: m\nfile: m.bin', 'definition.invalid', '/file', 2],
    [
      'an unknown option',
      'name: m\nfile: m.onnx\nserving:\n  replica: 2',
      'definition.invalid',
      '/serving/replica',
      4,
    ],
    [
      'a datatype that is not served',
      'name: m\nfile: m.onnx\nsignature:\n  inputs:\n    - { name: x, datatype: FP8, shape: [1] }',
      'definition.invalid',
      '/signature/inputs/0/datatype',
      5,
    ],
  ])('is refused for %s, with file and line', (_, text, code, path, line) => {
    const document = readDocument(text, 'models/m/model.yaml');
    const files = new Map([['models/m/m.onnx', { path: 'models/m/m.onnx', bytes: bytes('model') }]]);
    let error: unknown;
    try {
      modelKind(runtimes).parse(document, files);
    } catch (thrown) {
      error = thrown;
    }
    expect(error).toBeInstanceOf(AiosError);
    expect(error).toMatchObject({ code, issues: [{ path, file: 'models/m/model.yaml', line }] });
  });
});

describe('a signature', () => {
  it('takes what it leaves out from the file', () => {
    const declared: DeclaredSignature = {
      features: ['a', 'b'],
      fill: { a: 'nan' },
      results: { score: { output: 'probabilities', column: 1 } },
    };
    expect(settleSignature(declared, own)).toEqual({ ...own, ...declared });
    expect(settleSignature({ inputs: own.inputs }, own)).toEqual(own);
  });

  it.each([
    [
      'another datatype',
      { inputs: [{ name: 'features', datatype: 'FP64', shape: [-1, 2] }] },
      '/signature/inputs/0',
    ],
    [
      'another width',
      { inputs: [{ name: 'features', datatype: 'FP32', shape: [-1, 3] }] },
      '/signature/inputs/0',
    ],
    [
      'an output that is not there',
      { outputs: [{ name: 'q', datatype: 'FP32', shape: [-1, 2] }] },
      '/signature/outputs/0',
    ],
    ['as many features as the input has no columns', { features: ['a', 'b', 'c'] }, '/signature/features'],
    ['a fill for no feature', { features: ['a', 'b'], fill: { c: 0 } }, '/signature/fill'],
    ['a fill without features', { fill: 0 }, '/signature/fill'],
    ['a result of an unknown output', { results: { s: { output: 'q' } } }, '/signature/results/s'],
    [
      'a result past the last column',
      { results: { s: { output: 'probabilities', column: 2 } } },
      '/signature/results/s',
    ],
  ])('is refused for %s', (_, declared, path) => {
    let error: unknown;
    try {
      settleSignature(declared as DeclaredSignature, own);
    } catch (thrown) {
      error = thrown;
    }
    expect(error).toMatchObject({
      code: 'models.signature_mismatch',
      issues: expect.arrayContaining([expect.objectContaining({ path })]),
    });
  });
});
