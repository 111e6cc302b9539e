import { describe, expect, it } from 'vitest';
import { closestName } from './closest-name.ts';
import { describeIssue } from './errors.ts';
import { compileSchema } from './schema.ts';

describe('the name that was meant', () => {
  it.each([
    ['hitpolicy', ['name', 'hitPolicy', 'inputs'], 'hitPolicy'],
    ['numbr', ['boolean', 'number', 'string'], 'number'],
    ['retrun-policy', ['return-policy', 'return-risk'], 'return-policy'],
    ['ehco', ['echo', 'x'], 'echo'],
    ['something', ['else', 'entirely'], undefined],
    ['a', [], undefined],
    ['x'.repeat(1_000_000), ['x'.repeat(999_999)], undefined],
  ])('of %.20s among %.60j is %s', (name, known, meant) => {
    expect(closestName(name, known)).toBe(meant);
  });
});

describe('an issue as people read it', () => {
  const validate = compileSchema({
    type: 'object',
    additionalProperties: false,
    required: ['hitPolicy'],
    properties: { hitPolicy: { enum: ['first', 'unique'] }, name: { type: 'string' } },
  });
  const told = (value: unknown) => validate(value).map(describeIssue);

  it('says which values a place may have', () => {
    expect(told({ hitPolicy: 'frist' })).toEqual([
      '/hitPolicy: must be equal to one of the allowed values (found "frist"; expected "first", "unique"; did you mean "first"?)',
    ]);
  });

  it('says which names there are, and the one that was meant', () => {
    expect(told({ hitpolicy: 'first', hitPolicy: 'first', x: 1 })).toEqual([
      '/hitpolicy: “hitpolicy” is not known here (expected hitPolicy, name; did you mean “hitPolicy”?)',
      '/x: “x” is not known here (expected hitPolicy, name)',
    ]);
  });

  it('does not say twice what the message says already', () => {
    expect(told({ name: 3, hitPolicy: 'first' })).toEqual(['/name: must be string (found 3)']);
    expect(told({})).toEqual(['/: hitPolicy is required']);
  });

  it('cuts a long list of names', () => {
    const many = Array.from({ length: 200 }, (_, i) => `name-${i}`).join(', ');
    const text = describeIssue({ path: '/x', message: 'is not known', expected: many });
    expect(text.length).toBeLessThan(400);
    expect(text).toContain('name-0, name-1,');
    expect(text).toMatch(/ …\)$/);
  });
});
