import { describe, expect, it } from 'vitest';
import { readDocument } from '../kernel/document.ts';
import { AiosError } from '../kernel/errors.ts';
import { limitsFrom } from '../kernel/limits.ts';
import { parseContract } from './contract-kind.ts';

const applied = (rules: string, limits = '') =>
  parseContract(
    readDocument(
      `name: order\nversion: 1.0.0\nowner: shop\nschema: { type: object }\n${rules}`,
      'contracts/order.yaml',
    ),
    limitsFrom(limits),
  );
const quality = (window: string) => `quality: [{ metric: rowCount, window: ${window} }]`;
const invalid = (more: string) => refusal(`quality: [{ ${more} }]`);
const frequency = (value: number, unit: string) =>
  `slaProperties: [{ property: frequency, value: ${value}, unit: ${unit} }]`;
const refusal = (rules: string, limits?: string): AiosError => {
  try {
    applied(rules, limits);
  } catch (error) {
    if (error instanceof AiosError) return error;
    throw error;
  }
  throw new Error('it was taken');
};

describe('The window of a quality rule', () => {
  it.each([
    [quality('0s'), 'contractQualityWindowMinMs'],
    [quality('999ms'), 'contractQualityWindowMinMs'],
    [quality('367d'), 'contractQualityWindowMaxMs'],
    [frequency(1e-9, 'y'), 'contractQualityWindowMinMs'],
    [frequency(999, 'y'), 'contractQualityWindowMaxMs'],
  ])('is refused out of its limits: %s', (rules, limitName) => {
    const { code, issues, extensions } = refusal(rules);
    expect(code).toBe('definition.invalid');
    expect(issues).toMatchObject([
      {
        path: rules.startsWith('quality') ? '/quality/0' : '/slaProperties/0',
        message: expect.stringContaining(limitName),
      },
    ]);
    expect(extensions).toMatchObject({
      limitName,
      limit: limitsFrom()[limitName as 'contractQualityWindowMinMs'],
    });
  });

  it('is a duration', () => {
    for (const rules of [quality('soon'), quality('1e9d'), frequency(1e30, 'y')])
      expect(refusal(rules).issues).toMatchObject([
        {
          path: expect.stringMatching(/^\/(quality|slaProperties)\/0/),
          message: expect.stringContaining('d'),
        },
      ]);
  });

  it('that is wrong is told with all that is wrong beside it', () => {
    const { code, issues, extensions } = refusal(
      [
        'slaProperties: [{ property: frequency, value: 999, unit: y }, { property: latency, value: 5, unit: m }]',
        'quality:',
        '  - { metric: rowCount, window: 0s }',
        '  - { metric: rowCount, name: more, window: soon }',
        '  - { metric: nullValues, property: a }',
        '  - { metric: nullValues, property: a, window: 400d }',
        "  - { rule: 'data.', message: m }",
      ].join('\n'),
    );
    expect(code).toBe('definition.invalid');
    expect(extensions).toMatchObject({ limitName: 'contractQualityWindowMaxMs' });
    expect(issues.map(({ path, line, message }) => [path, line, message])).toEqual([
      ['/slaProperties/0', 5, expect.stringContaining('contractQualityWindowMaxMs')],
      ['/quality/0', 7, expect.stringContaining('contractQualityWindowMinMs')],
      ['/quality/1', 8, expect.stringContaining('soon')],
      ['/quality/3', 10, expect.stringContaining('two rules are named')],
      ['/quality/4/rule', 11, expect.any(String)],
    ]);
  });

  it('may be at its limits, and past them where the operator says so', () => {
    for (const rules of [quality('1s'), quality('366d'), frequency(366, 'd')]) applied(rules);
    applied(quality('400d'), 'contractQualityWindowMaxMs=40000000000');
    applied(quality('500ms'), 'contractQualityWindowMinMs=500');
    expect(refusal(quality('1h'), 'contractQualityWindowMaxMs=60000').extensions).toMatchObject({
      limit: 60_000,
    });
  });
});

describe('A measured rule', () => {
  it.each([
    ['metric: freshness', 'needs a bound in seconds'],
    ['metric: invalidValues, property: a', 'needs `arguments`'],
    ['metric: invalidValues, property: a, arguments: { minimun: 0 }', 'meant is perhaps “minimum”'],
    ['metric: invalidValues, property: a, arguments: { validValue: [x] }', 'nor is it `validValues`'],
    ['metric: rowCount, mustBeBetween: [9, 5]', 'put the smaller bound first'],
    ['metric: rowCount, mustNotBeBetween: [9, 5]', 'put the smaller bound first'],
  ])('that could never fail, or never hold, is refused: %s', (rule, message) => {
    expect(invalid(rule).issues).toMatchObject([
      { path: '/quality/0', message: expect.stringContaining(message) },
    ]);
  });

  it.each(['missingValues', 'validValues'])('has a list of %s', (name) => {
    const metric = name === 'missingValues' ? name : 'invalidValues';
    expect(invalid(`metric: ${metric}, property: a, arguments: { ${name}: '' }`).issues).toMatchObject([
      { path: `/quality/0/arguments/${name}`, expected: 'array' },
    ]);
    applied(`quality: [{ metric: ${metric}, property: a, arguments: { ${name}: [''] } }]`);
  });
});
