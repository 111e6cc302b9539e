import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readDocument } from '../kernel/document.ts';
import type { JsonObject } from '../kernel/json.ts';
import { limitsFrom } from '../kernel/limits.ts';
import { Definitions, definitionMigrations } from '../store/definitions.ts';
import { createTestDatabase, type TestDatabase } from '../testing/database.ts';
import { Contracts } from './contracts.ts';

describe('contracts', () => {
  let database: TestDatabase;
  let definitions: Definitions;
  let contracts: Contracts;
  beforeAll(async () => {
    database = await createTestDatabase(definitionMigrations);
    definitions = new Definitions(database.db);
    contracts = new Contracts(definitions, async () => 'BACKWARD', limitsFrom());
  });
  afterAll(() => database.close());
  const contract = (version: string, schema: string, more = '') =>
    `name: order\nversion: ${version}\nowner: shop\n${more}schema: ${schema}\n`;
  const parse = (text: string) => contracts.kind.parse(readDocument(text, 'contracts/order.yaml'), new Map());
  const put = async (text: string) => {
    const { name, body } = parse(text);
    await contracts.kind.checkChange!(name, body);
    await database.commit.commit([
      definitions.put({ kind: 'contract', name, body, source: text, createdBy: 'test' }),
    ]);
    await definitions.reload();
  };
  const event = (data: JsonObject, more: JsonObject = {}) => ({
    specversion: '1.0' as const,
    id: '1',
    source: 's',
    type: 'order',
    time: '2026-01-01T00:00:00Z',
    data,
    ...more,
  });

  it('hold events to the newest version, or to the one that the event names', async () => {
    await put(
      contract(
        '1.0.0',
        '{ type: object, required: [total], properties: { total: { type: number } } }',
        'quality: [{ rule: data.total >= 0, message: a total is not negative }]\n',
      ),
    );
    await put(
      contract(
        '1.1.0',
        '{ type: object, required: [total], properties: { total: { type: [number, "null"] }, note: { type: string } } }',
      ),
    );
    expect(contracts.check(event({ total: 5 }))).toEqual({ contract: 'order', version: '1.1.0' });
    expect(contracts.check(event({ total: 5 }, { dataversion: '1.0.0' }))).toEqual({
      contract: 'order',
      version: '1.0.0',
    });
    expect(() => contracts.check(event({ total: 'x' }))).toThrow(
      expect.objectContaining({
        code: 'contracts.data_invalid',
        issues: [expect.objectContaining({ path: '/data/total' })],
      }),
    );
    expect(() => contracts.check(event({ total: -1 }, { dataversion: '1.0.0' }))).toThrow(
      expect.objectContaining({ issues: [expect.objectContaining({ message: 'a total is not negative' })] }),
    );
    expect(() => contracts.check(event({}, { dataversion: '9.0.0' }))).toThrow(
      expect.objectContaining({ code: 'contracts.unknown_version' }),
    );
    expect(() => contracts.check({ ...event({}), type: 'nothing' })).toThrow(
      expect.objectContaining({ code: 'contracts.unknown_type' }),
    );
  });

  it.each([
    [
      'that breaks its readers',
      contract(
        '1.2.0',
        '{ type: object, required: [total, note], properties: { total: { type: [number, "null"] }, note: { type: string } } }',
      ),
      '2.0.0',
    ],
    [
      'whose version does not rise',
      contract(
        '1.1.0',
        '{ type: object, properties: { total: { type: [number, "null"] }, note: { type: string }, more: {} } }',
      ),
      '1.2.0',
    ],
  ])('refuse a version %s, with a suggestion', async (_, text, suggestedVersion) => {
    await expect(put(text)).rejects.toMatchObject({
      code: 'contracts.incompatible',
      extensions: { suggestedVersion },
    });
  });

  it('refuse a version that does not rise at its place, with one that would do', async () => {
    const text = contract(
      '1.1.0',
      '{ type: object, properties: { total: { type: [number, "null"] }, note: { type: string }, more: {} } }',
    );
    await expect(put(text)).rejects.toMatchObject({
      issues: [{ path: '/version', found: '1.1.0', expected: '1.2.0' }],
    });
  });

  it('take another wording of a version, and refuse another rule under it', async () => {
    const { source } = definitions.latest('contract', 'order')!;
    const before = contracts.check(event({ total: 5 }));
    await put(source.replace('owner: shop', 'owner: store'));
    expect(contracts.check(event({ total: 5 }))).toEqual(before);
    await expect(
      put(source.replace('schema:', 'quality: [{ rule: data.total > 9, message: more }]\nschema:')),
    ).rejects.toMatchObject({ code: 'contracts.incompatible' });
    await expect(put(source.replace(/version: .*/, 'version: 0.9.0'))).rejects.toMatchObject({
      code: 'contracts.incompatible',
    });
  });

  it('refuse an event that a rule cannot work on', async () => {
    const text =
      'name: visit\nversion: 1.0.0\nowner: x\nschema: {}\nquality: [{ rule: data.pages > 0, message: some pages }]\n';
    await put(text);
    expect(() => contracts.check({ ...event({ other: 1 }), type: 'visit' })).toThrow(
      expect.objectContaining({
        code: 'contracts.data_invalid',
        issues: [expect.objectContaining({ message: 'some pages' })],
      }),
    );
  });

  it.each([
    [
      'an unknown member',
      'name: a\nversion: 1.0.0\nowner: x\nschema: {}\nsurprise: 1\n',
      'definition.invalid',
      5,
    ],
    [
      'a schema that is none',
      'name: a\nversion: 1.0.0\nowner: x\nschema: { type: banana }\n',
      'definition.invalid',
      4,
    ],
    [
      'a rule that does not parse',
      'name: a\nversion: 1.0.0\nowner: x\nschema: {}\nquality:\n  - rule: "data."\n    message: m\n',
      'expression.syntax',
      6,
    ],
  ])('refuse %s with its line', (_, text, code, line) => {
    expect(() => parse(text)).toThrow(
      expect.objectContaining({
        code,
        issues: [expect.objectContaining({ file: 'contracts/order.yaml', line })],
      }),
    );
  });
});
