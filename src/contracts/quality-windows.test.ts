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
    [frequency(1e30, 'y'), 'contractQualityWindowMaxMs'],
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

  it('is in whole milliseconds', () => {
    expect(refusal(quality('1500.5ms')).issues).toMatchObject([
      { message: expect.stringContaining('whole milliseconds; “1500.5ms” is not') },
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
