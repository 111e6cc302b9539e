import { describe, expect, it } from 'vitest';
import { readDocument } from '../kernel/document.ts';
import { AiosError, describeIssue } from '../kernel/errors.ts';
import type { JsonObject } from '../kernel/json.ts';
import type { Definition } from '../store/definitions.ts';
import { parseDecision } from './decision-kind.ts';
import { createDecisions } from './decisions.ts';

const parse = (text: string) => parseDecision(readDocument(text, 'decisions/refund.yaml'));

function decide(text: string, input: JsonObject) {
  const { name, body } = parse(text);
  const definition = { kind: 'decision', name, version: 3, digest: 'sha256:x', body } as Definition;
  const definitions = { list: () => [definition], onChange: () => () => {}, version: async () => undefined };
  return createDecisions({ definitions }).evaluate(name, input);
}

function failure(work: () => unknown): AiosError {
  try {
    work();
  } catch (error) {
    if (error instanceof AiosError) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}

const table = (hitPolicy: string, more = '') => `
name: refund
hitPolicy: ${hitPolicy}
inputs:
  - { name: amount, type: number }
  - { name: channel, type: string }
  - { name: risk, type: number, nullable: true }
outputs:
  outcome: { enum: [refund, review, refuse] }
  limit: number
rules:
  - id: large
    when: { amount: '> 100', channel: '-' }
    then: { outcome: review, limit: 0 }
    reason: "\${amount} is over 100"
    priority: 1
  - id: shop
    when: { channel: [shop, phone], amount: '>= 50' }
    then: { outcome: refund, limit: '\${amount * 2}' }
    reason: bought in the shop
    priority: 5
  - id: small
    when: amount < 10 && channel == "web"
    then: { outcome: refund, limit: 10 }
    reason: small
${more}`;

describe('a decision table', () => {
  const both = { amount: 120, channel: 'shop' };
  const one = { amount: 60, channel: 'shop' };
  const none = { amount: 20, channel: 'web' };
  const large = {
    output: { outcome: 'review', limit: 0 },
    rule: 'large',
    rules: ['large'],
    reason: '120 is over 100',
  };
  const shop = (amount: number) => ({
    output: { outcome: 'refund', limit: amount * 2 },
    rule: 'shop',
    rules: ['shop'],
    reason: 'bought in the shop',
  });
  const otherwise = 'default: { then: { outcome: refuse, limit: 1 }, reason: nothing fits }';
  const fallback = {
    output: { outcome: 'refuse', limit: 1 },
    rule: 'default',
    rules: ['default'],
    reason: 'nothing fits',
  };

  it.each([
    ['unique takes the one that fits', 'unique', '', one, shop(60)],
    ['unique falls to the default', 'unique', otherwise, none, fallback],
    ['first takes the first in order', 'first', '', both, large],
    ['first falls to the default', 'first', otherwise, none, fallback],
    ['priority takes the highest number', 'priority', '', both, shop(120)],
    ['priority falls to the default', 'priority', otherwise, none, fallback],
    [
      'collect takes all in order',
      'collect',
      '',
      both,
      {
        output: [large.output, shop(120).output],
        rule: null,
        rules: ['large', 'shop'],
        reason: '120 is over 100; bought in the shop',
      },
    ],
    ['collect of nothing is empty', 'collect', '', none, { output: [], rule: null, rules: [], reason: '' }],
    [
      'collect of nothing is the default',
      'collect',
      otherwise,
      none,
      { ...fallback, output: [fallback.output] },
    ],
  ])('%s', (_, hitPolicy, more, input, expected) => {
    expect(decide(table(hitPolicy, more), input)).toEqual({ ...expected, version: 3, digest: 'sha256:x' });
  });

  it.each([
    ['two rules where one may fit', table('unique'), both, 'decisions.ambiguous', /“large” and “shop”/],
    ['no rule and no default', table('first'), none, 'decisions.no_rule', /no rule fits/],
    [
      'an input of another type',
      table('first'),
      { amount: '60', channel: 'shop' },
      'decisions.input_invalid',
      /no number/,
    ],
    [
      'an input that is missing',
      table('first'),
      { amount: 60 },
      'decisions.input_invalid',
      /“channel” is missing/,
    ],
    [
      'a cell that fails on the value',
      table('first').replace("amount: '> 100'", 'risk: risk > 1.0'),
      one,
      'expression.failed',
      /rule “large”/,
    ],
    [
      'a condition that gives no boolean',
      table('first').replace("amount: '> 100'", 'risk: amount + 1'),
      one,
      'expression.failed',
      /true or false/,
    ],
    [
      'an output that it does not declare',
      table('first').replace('amount * 2', 'channel'),
      one,
      'decisions.output_invalid',
      /rule “shop”/,
    ],
  ])('refuses %s', (_, text, input, code, message) => {
    const error = failure(() => decide(text, input as JsonObject));
    expect(error).toMatchObject({ code, message: expect.stringMatching(message) });
  });

  it('does not know a decision that was never applied', () => {
    const decisions = createDecisions({
      definitions: { list: () => [], onChange: () => () => {}, version: async () => undefined },
    });
    expect(failure(() => decisions.evaluate('none', {}))).toMatchObject({ code: 'decisions.unknown' });
  });

  it.each([
    ['null and numbers by equality', 'risk: null', { risk: null }, true],
    ['a boolean by equality', 'member: true', { member: true }, true],
    ['another operator', "risk: '!= 2'", { risk: 2 }, false],
    ['more than, of null', "risk: '> 1'", { risk: null }, false],
    ['less than, of an input that is not given', "risk: '<= 1'", {}, false],
    ['more than, of a number that could be null', "risk: '> 1'", { risk: 2 }, true],
    ['more than or something else, of null', "risk: '> 1 || member'", { risk: null, member: true }, true],
    ['membership written as CEL', `channel: 'in ["web"]'`, { channel: 'web' }, true],
    [
      'a whole expression over other inputs',
      'risk: has(order.total) && order.total > 3',
      { order: { total: 4 } },
      true,
    ],
  ])('reads a cell: %s', (_, cell, input, fits) => {
    const text = `{name: t, hitPolicy: first, inputs: {risk: {nullable: true}, member: {nullable: true}, channel: {nullable: true}, order: {nullable: true}},
      outputs: {ok: boolean}, rules: [{id: yes, when: {${cell.replace(/: (has.*)$/, ": '$1'")}}, then: {ok: true}}], default: {then: {ok: false}}}`;
    expect(decide(text, input).output).toEqual({ ok: fits });
  });

  it('fills texts in: whole values keep their type, braces and quotes inside an expression belong to it', () => {
    const text = `
name: t
hitPolicy: first
inputs: { a: number }
outputs: { whole: any, text: string, nested: object }
rules:
  - id: r
    then: { whole: '\${ {"k": a} }', text: 'a is \${a + 0.2}, \${"}"}', nested: { list: ['\${a}', 1] } }
`;
    expect(decide(text, { a: 0.1 }).output).toEqual({
      whole: { k: 0.1 },
      text: 'a is 0.3, }',
      nested: { list: [0.1, 1] },
    });
  });
});

it('takes a comment in a cell for one, and not for the end of the rule', () => {
  const text = table('first').replace("'> 100', channel: '-'", "'> 100 // much', channel: '!= \"web\"'");
  expect(decide(text, { amount: 120, channel: 'shop' }).rule).toBe('large');
  expect(failure(() => decide(text, { amount: 120, channel: 'web' })).code).toBe('decisions.no_rule');
});

it('gives its reason as a text, though an expression makes something else of it', () => {
  const text = (reason: string) => table('first').replace('${amount} is over 100', reason);
  expect(decide(text('${amount}'), { amount: 120, channel: 'web' }).reason).toBe('120');
  expect(decide(text('${risk}'), { amount: 120, channel: 'web' }).reason).toBe('null');
});

it('is not given what every object inherits', () => {
  const text = table('first').replace('name: risk, type: number', 'name: constructor, type: any');
  const small = text.replace('amount < 10 &&', 'constructor == null &&');
  expect(decide(small, { amount: 20, channel: 'web' }).rule).toBe('small');
});

describe('a decision definition', () => {
  it.each([
    [
      'a cell that does not parse',
      table('first').replace("'> 100'", "'> > 100'"),
      'expression.syntax',
      '/rules/0/when/amount',
      13,
    ],
    [
      'a name that is no input',
      table('first').replace('amount < 10', 'amuont < 10'),
      'expression.syntax',
      '/rules/2/when',
      23,
    ],
    [
      'a column that is no input',
      table('first').replace("amount: '> 100'", "sum: '> 100'"),
      'definition.invalid',
      '/rules/0/when/sum',
      13,
    ],
    [
      'a constant output that does not fit',
      table('first').replace('outcome: review', 'outcome: maybe'),
      'definition.invalid',
      '/rules/0/then/outcome',
      14,
    ],
    [
      'an expression left open',
      table('first').replace('* 2}', '* 2'),
      'expression.syntax',
      '/rules/1/then',
      19,
    ],
    [
      'two rules of one id',
      table('first').replace('id: shop', 'id: large'),
      'definition.invalid',
      '/rules/1/id',
      17,
    ],
    [
      'a rule called default',
      table('first').replace('id: shop', 'id: default'),
      'definition.invalid',
      '/rules/1/id',
      17,
    ],
    ['an unknown hit policy', table('any'), 'definition.invalid', '/hitPolicy', 3],
    [
      'an input that no expression can name',
      table('first').replace('name: risk', 'name: my-risk'),
      'definition.invalid',
      '/inputs/2/name',
      7,
    ],
    [
      'two inputs of one name',
      table('first').replace('name: risk', 'name: amount'),
      'definition.invalid',
      '/inputs/2/name',
      7,
    ],
    [
      'a test that fails',
      table(
        'first',
        'tests:\n  - { name: big, input: { amount: 200, channel: web }, expect: { rule: small } }',
      ),
      'decisions.test_failed',
      '/tests/0/expect/rule',
      27,
    ],
  ])('is refused for %s, with file and line', (_, text, code, path, line) => {
    const error = failure(() => parse(text));
    expect(error.code).toBe(code);
    expect(error.issues[0]).toMatchObject({ path, file: 'decisions/refund.yaml', line });
  });

  it('says which outputs there are to a rule that gives another', () => {
    const error = failure(() =>
      parse(table('first').replace('outcome: review, limit', 'outcome: reveiw, limit')),
    );
    expect(describeIssue(error.issues[0]!)).toContain(
      '(found "reveiw"; expected "refund", "review", "refuse"',
    );
  });

  it('carries its tests, which may expect a refusal', () => {
    const tests = `tests:
  - { input: { amount: 200, channel: web }, expect: { rule: large, output: { outcome: review, limit: 0 } } }
  - { input: { amount: 20, channel: web }, expect: { error: decisions.no_rule } }`;
    expect(parse(table('first', tests)).name).toBe('refund');
  });
});

it('decides as a version did that is over', async () => {
  const definition = (version: number, limit: number) => {
    const { name, body } = parse(`name: refund
hitPolicy: first
inputs: { amount: number }
outputs: { ok: boolean }
rules:
  - { id: small, when: 'amount < ${limit}.0', then: { ok: true }, reason: small }
  - { id: rest, then: { ok: false }, reason: large }
`);
    return { kind: 'decision', name, version, digest: `sha256:${version}`, body } as Definition;
  };
  const kept = [definition(1, 10), definition(2, 100)];
  const decisions = createDecisions({
    definitions: {
      list: () => [kept[1]!],
      onChange: () => () => {},
      version: async (_kind, _name, version) => kept[version - 1],
    },
  });
  const outcome = async (version: number) =>
    (await decisions.evaluateVersion('refund', version, { amount: 50 })).rule;
  expect(decisions.evaluate('refund', { amount: 50 })).toMatchObject({ rule: 'small', version: 2 });
  expect([await outcome(1), await outcome(2)]).toEqual(['rest', 'small']);
  await expect(decisions.evaluateVersion('refund', 3, { amount: 50 })).rejects.toMatchObject({
    code: 'decisions.unknown',
    message: 'Decision “refund” has no version 3.',
  });
});
