import { describe, expect, it } from 'vitest';
import type { JsonObject } from '../kernel/json.ts';
import { assess } from './assessment.ts';
import type { ContractBody } from './contract-body.ts';

const contract = (version: string, schema: JsonObject, more: Partial<ContractBody> = {}): ContractBody => ({
  name: 'order',
  version,
  owner: 'shop',
  schema,
  ...more,
});
const number = { type: 'number' };
const accepted = [
  contract('1.2.3', number, { owner: 'store' }),
  contract('1.2.3', number),
  contract('1.0.0', { type: 'string' }, { compatibility: 'NONE' }),
];

describe('the assessment of a change', () => {
  it.each<[string, Partial<ContractBody> & { schema: JsonObject }, string, string]>([
    ['nothing that counts', { schema: number, description: 'other words' }, 'none', '1.2.3'],
    ['other words of the schema', { schema: { ...number, title: 'a total' } }, 'patch', '1.2.4'],
    ['another wording of the same', { schema: { type: ['integer', 'number'] } }, 'patch', '1.2.4'],
    ['a wider schema', { schema: { type: ['number', 'null'] } }, 'minor', '1.3.0'],
    [
      'another rule',
      { schema: number, quality: [{ rule: 'data > 0.0', message: 'positive' }] },
      'minor',
      '1.3.0',
    ],
    ['a rule that only measures', { schema: number, quality: [{ metric: 'rowCount' }] }, 'none', '1.2.3'],
    ['a narrower schema', { schema: { type: 'integer' } }, 'major', '2.0.0'],
    [
      'a narrower schema where nothing is promised',
      { schema: { type: 'integer' }, compatibility: 'NONE' },
      'major',
      '2.0.0',
    ],
    [
      'a wider schema that the older version is to read',
      { schema: { type: ['number', 'null'] }, compatibility: 'FORWARD' },
      'major',
      '2.0.0',
    ],
  ])('of %s is a version to give', (_, next, change, suggestedVersion) => {
    expect(assess(accepted, next, 'BACKWARD')).toMatchObject({ change, suggestedVersion });
  });

  it('against an older version alone suggests one that rises above the newest', () => {
    const older = [contract('1.0.0', number)];
    const held = (schema: JsonObject) => assess(older, { schema }, 'BACKWARD', '1.2.3').suggestedVersion;
    expect(held({ type: ['number', 'null'] })).toBe('1.3.0');
    expect(held({ type: 'integer' })).toBe('2.0.0');
    expect(held(number)).toBe('1.0.0');
  });

  it('names the versions that it was held against, each once', () => {
    const against = (compatibility: NonNullable<ContractBody['compatibility']>) => {
      const { checkedAgainst, findings } = assess(accepted, { schema: number, compatibility }, 'FULL');
      return [checkedAgainst, findings.map(({ version, direction }) => `${version} ${direction}`)];
    };
    expect(against('NONE')).toEqual([[], []]);
    expect(against('BACKWARD')).toEqual([['1.2.3'], []]);
    expect(against('BACKWARD_TRANSITIVE')).toEqual([['1.2.3', '1.0.0'], ['1.0.0 backward']]);
    expect(against('FORWARD_TRANSITIVE')).toEqual([['1.2.3', '1.0.0'], ['1.0.0 forward']]);
    expect(against('FULL_TRANSITIVE')).toEqual([
      ['1.2.3', '1.0.0'],
      ['1.0.0 backward', '1.0.0 forward'],
    ]);
  });

  it('of the first version has nothing to hold it against', () => {
    expect(assess([], { schema: number }, 'BACKWARD')).toMatchObject({
      isCompatible: true,
      suggestedVersion: '1.0.0',
    });
  });
});
