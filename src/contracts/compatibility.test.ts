import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import type { JsonObject } from '../kernel/json.ts';
import { pythonEnvironment, runPython } from '../testing/python.ts';
import { type CompatibilityMode, compatibilityFindings, isSameMeaning } from './compatibility.ts';
import { SchemaDocument } from './inclusion/node.ts';

interface Case {
  name: string;
  old: JsonObject;
  new: JsonObject;
  /** `CODE /pointer` */
  backward: string[];
  forward: string[];
  /** Why jsoncompat differs. */
  jsoncompat?: string;
}

const folder = join(import.meta.dirname, '..', '..', 'conformance', 'contracts');
const cases = parse(await readFile(join(folder, 'compatibility.yaml'), 'utf8')) as Case[];
const python = await pythonEnvironment(['jsoncompat==0.3.1']);

describe('compatibility by meaning', () => {
  it('is held to at least 120 cases', () => expect(cases.length).toBeGreaterThanOrEqual(120));

  it.each(cases)('$name', ({ old, new: next, backward, forward }) => {
    const told = (mode: CompatibilityMode) =>
      compatibilityFindings(mode, old, next).map(({ code, path }) => `${code} ${path || '/'}`);
    expect({ backward: told('BACKWARD'), forward: told('FORWARD') }).toEqual({ backward, forward });
    expect(told('FULL')).toEqual([...backward, ...forward]);
    expect(told('NONE')).toEqual([]);
    expect(compatibilityFindings('FULL', next, next)).toEqual([]);
  });

  it('says where, in both versions, why and what to do', () => {
    const old = {
      type: 'object',
      properties: { total: { $ref: '#/$defs/money' } },
      $defs: { money: { type: 'number' } },
    };
    const next = { type: 'object', properties: { total: { type: 'number', minimum: 0 } } };
    expect(compatibilityFindings('BACKWARD', old, next)).toEqual([
      {
        code: 'MINIMUM_INCREASED',
        direction: 'backward',
        path: '/properties/total/minimum',
        otherPath: '/properties/total',
        message: 'Data of the previous version: numbers below 0 are refused.',
        hint: expect.stringContaining('quality rule'),
        isCertain: true,
      },
    ]);
  });

  it.each([
    // 2^50 steps of JavaScript's engine: who may read may have any schema assessed.
    ['^(a+)+$', `${'a'.repeat(50)}!`, 'refused'],
    ['^(a+)+!?$', `${'a'.repeat(50)}!`, 'fits'],
    // Of these RE2 says something else than ECMA-262, or nothing.
    ['^\\S+$', 'a\u00a0b', 'cannot be told'],
    ['^(?=a)', 'a', 'cannot be told'],
    ['^[[:alpha:]]$', 'a', 'cannot be told'],
  ])('whether a value fits %s on %j: %s', (pattern, value, wanted) => {
    const { root } = new SchemaDocument({ type: 'string', pattern });
    const told = { true: 'fits', false: 'refused', undefined: 'cannot be told' } as const;
    expect(told[`${root.document.accepts(root, value)}`]).toBe(wanted);
  });

  it('takes open objects at their word when the content model says so, as Confluent does', () => {
    const old = { type: 'object', properties: { a: { type: 'string' } } };
    const next = { type: 'object', properties: { a: { type: 'string' }, b: { type: 'string' } } };
    expect(compatibilityFindings('FULL', old, next, 'declared')).toEqual([]);
    expect(compatibilityFindings('FULL', old, next, 'open')).toEqual([
      expect.objectContaining({
        code: 'PROPERTY_ADDED_TO_OPEN_CONTENT_MODEL',
        direction: 'backward',
        path: '/properties/b',
        isCertain: true,
      }),
    ]);
    const closed = (schema: JsonObject): JsonObject => ({ ...schema, additionalProperties: false });
    expect(compatibilityFindings('BACKWARD', closed(old), closed(next), 'open')).toEqual([]);
    expect(compatibilityFindings('BACKWARD', next, old, 'open')).toEqual([]);
  });

  it('tells another wording from another meaning', () => {
    expect(isSameMeaning({ type: ['integer', 'number'] }, { type: 'number', title: 'a number' })).toBe(true);
    expect(isSameMeaning({ type: 'number' }, { type: 'integer' })).toBe(false);
    expect(isSameMeaning({}, { properties: { a: { type: 'string' } } })).toBe(false);
  });

  it('gives up by name on what would take too long', () => {
    const wide = (from: number): JsonObject => ({
      allOf: Array.from({ length: 12 }, (_, i) => ({
        anyOf: Array.from({ length: 8 }, (_, j) => ({
          properties: { [`p${i}`]: { minimum: from + j, pattern: `^${j + from}` } },
        })),
      })),
    });
    const startMs = performance.now();
    const found = compatibilityFindings('BACKWARD', wide(0), wide(1));
    expect(found.length).toBeGreaterThan(0);
    expect(performance.now() - startMs).toBeLessThan(20_000);
  });
});

describe.skipIf(!python)(
  `beside jsoncompat${python ? '' : ' (skipped: no python3 here, or no PyPI)'}`,
  () => {
    it('agrees, but for the cases that say why not', async () => {
      const temporary = await mkdtemp(join(tmpdir(), 'aios-jsoncompat-'));
      const file = join(temporary, 'cases.json');
      await writeFile(file, JSON.stringify(cases));
      const verdicts = (await runPython(
        python!,
        join(folder, 'jsoncompat_verdicts.py'),
        file,
      )) as unknown[][];
      await rm(temporary, { recursive: true });
      // It takes open objects at their word.
      const ours = cases.map(({ old, new: next }) =>
        (['BACKWARD', 'FORWARD'] as const).map(
          (mode) => compatibilityFindings(mode, old, next, 'open').length === 0,
        ),
      );
      const differing = cases.filter(
        (_, index) => JSON.stringify(ours[index]) !== JSON.stringify(verdicts[index]),
      );
      expect(differing.map(({ name }) => name)).toEqual(
        cases.filter(({ jsoncompat }) => jsoncompat !== undefined).map(({ name }) => name),
      );
    });
  },
);
