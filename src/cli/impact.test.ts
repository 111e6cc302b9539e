import { expect, it } from 'vitest';
import { describeImpact } from './impact.ts';

it('an impact is a short tree, what breaks before what changes values', () => {
  const text = describeImpact([
    {
      ...{
        kind: 'decision',
        name: 'policy',
        severity: 'changes-values',
        truncated: false,
        runsUnderWay: 2,
        hint: 'Look.',
      },
      changes: [{ node: 'decision:policy', effect: 'changed' }],
      affected: [
        { node: 'workflow:returns', severity: 'changes-values', depth: 1, through: 'decision:policy' },
      ],
    },
    {
      ...{
        kind: 'contract',
        name: 'order',
        severity: 'breaks',
        truncated: false,
        runsUnderWay: 0,
        hint: 'Keep it.',
      },
      changes: [{ node: 'field:order#total', effect: 'retyped', from: 'number', to: 'string' }],
      affected: [
        { node: 'feature:orders.spend', severity: 'breaks', depth: 1, through: 'field:order#total' },
        { node: 'model:risk', severity: 'breaks', depth: 2, through: 'feature:orders.spend' },
      ],
    },
    {
      kind: 'entity',
      name: 'a',
      severity: 'unaffected',
      truncated: false,
      runsUnderWay: 0,
      hint: '',
      changes: [],
      affected: [],
    },
  ]);
  expect(text.split('\n')).toEqual([
    'contract order: BREAKS 2 that depend on it',
    '  ~ field:order#total retyped (number → string)',
    '    └ feature:orders.spend: breaks',
    '      └ model:risk: breaks (through feature:orders.spend)',
    '  → Keep it.',
    '',
    'decision policy: changes values of 1 that depend on it',
    '  ~ decision:policy changed',
    '    └ workflow:returns: other values',
    '  2 runs under way: each goes on with its version of the flow, and reads the rest as it then is',
    '  → Look.',
  ]);
});
