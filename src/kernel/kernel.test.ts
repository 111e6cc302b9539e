import { describe, expect, it } from 'vitest';
import { canonicalize, digestOf } from './canonical.ts';
import { ManualClock } from './clock.ts';
import { readDocument, validateDocument } from './document.ts';
import { parseDuration } from './duration.ts';
import { AiosError, describeIssue, type Issue, toAiosError } from './errors.ts';
import { compileExpression } from './expressions.ts';
import { derivedId, firstId, newId, sortedId } from './ids.ts';
import { blankOf } from './json.ts';
import { LIMITS, limitsFrom } from './limits.ts';
import { formatUsd, microUsd } from './money.ts';
import { compileSchema } from './schema.ts';

describe('an object without values', () => {
  it('has the members it is asked for, in their order, and is left out of JSON where none is set', () => {
    const names = ['b', 'a b', '__proto__', '"'];
    const blank = blankOf(names);
    expect(Object.keys(blank)).toEqual(names);
    expect(Object.getPrototypeOf(blank)).toBe(Object.prototype);
    const copy: { [name: string]: unknown } = { ...blank };
    copy.b = 1;
    expect(JSON.stringify(copy)).toBe('{"b":1}');
    expect(blank.b).toBeUndefined();
  });
});

describe('ids', () => {
  it('sort by the time they were made', () => {
    const ids = [1, 2, 1000, 1_700_000_000_000, 1_700_000_000_001].map((ms) => newId('run', ms));
    expect([...ids].sort()).toEqual(ids);
    expect(ids[0]).toMatch(/^run_[0-9a-hjkmnp-tv-z]{26}$/);
  });

  it('never meet, also within one millisecond', () => {
    expect(new Set(Array.from({ length: 10_000 }, () => newId('evt', 5))).size).toBe(10_000);
  });

  it('that are derived are the same for the same parts only', () => {
    expect(derivedId('run', 'a', 'bc')).toBe(derivedId('run', 'a', 'bc'));
    expect(derivedId('run', 'a', 'bc')).not.toBe(derivedId('run', 'ab', 'c'));
  });

  it('that are derived may sort by a time as well', () => {
    const ids = [1, 1000, 1_700_000_000_000].map((ms) => sortedId('run', ms, 'a', 'b'));
    expect([...ids].sort()).toEqual(ids);
    expect(sortedId('run', 1, 'a', 'b')).toBe(ids[0]);
    for (const [index, ms] of [1, 1000, 1_700_000_000_000].entries()) {
      expect(firstId('run', ms) <= ids[index]!).toBe(true);
      expect(firstId('run', ms + 1) > ids[index]!).toBe(true);
    }
    expect(sortedId('run', 1, 'ab')).not.toBe(ids[0]);
    expect(ids[2]?.slice(0, 12)).toBe(newId('run', 1_700_000_000_000).slice(0, 12));
  });
});

describe('canonical JSON', () => {
  it('orders keys by UTF-16 code units and writes numbers as RFC 8785 says (section 3.2.3)', () => {
    const value = {
      '\u20ac': 'Euro Sign',
      '\r': 'Carriage Return',
      '1': 'One',
      numbers: [JSON.parse('333333333.33333329'), 1e30, 4.5, 2e-3, 1e-27],
    };
    expect(canonicalize(value)).toBe(
      '{"\\r":"Carriage Return","1":"One","numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],"€":"Euro Sign"}',
    );
  });

  it('gives equal values equal digests', () => {
    expect(digestOf({ a: 1, b: [2] })).toBe(digestOf({ b: [2], a: 1 }));
    expect(digestOf({ a: 1 })).toMatch(/^sha256:[0-9a-f]{64}$/);
  });
});

describe('durations', () => {
  it.each([
    ['90d', 90 * 86_400_000],
    ['1.5h', 5_400_000],
    ['250ms', 250],
    ['P90D', 90 * 86_400_000],
    ['P1DT2H3M4.5S', 93_784_500],
    ['P2W', 14 * 86_400_000],
    [{ hours: 2, seconds: 1 }, 7_201_000],
    ['PT2.0005S', 2001],
    [{ milliseconds: 0.4 }, 0],
    ['365000d', 365_000 * 86_400_000],
  ])('read %j', (text, ms) => expect(parseDuration(text)).toBe(ms));

  it.each([
    ...['', '90', 'P1M', 'P', 'PT', 'soon', '-5s', 'P365001D', null, 5, {}, [1]],
    ...[{ seconds: '5' }, { minute: 5 }, { seconds: -1 }, { hours: Number.NaN }],
  ])('refuse %j', (value) => {
    expect(() => parseDuration(value as string)).toThrow(
      expect.objectContaining({ code: 'definition.duration' }),
    );
  });
});

describe('expressions', () => {
  const scope = { order: { total: 2, lines: [1, 2, 3], customer: 'c-1' } };
  it.each([
    ['order.total + 1', 3],
    ['1 + order.total', 3],
    ['order.total % 2', 0],
    ['order.total * 2 > 3 && 3 <= order.total + 1', true],
    ['7 / 2', 3],
    ['order.total / 4', 0.5],
    ['order.?missing.orValue(3)', 3],
    ['order.?missing', null],
    ['order.lines.map(x, x + 1)', [2, 3, 4]],
    ['{"total": order.total, "n": size(order.lines)}', { total: 2, n: 3 }],
    ['[1, 2.5, "x"]', [1, 2.5, 'x']],
    ['"__proto__" in order', false],
    ['{"share": order.total / 0.0, "of": [0.0 / 0.0, 1.5]}', { share: null, of: [null, 1.5] }],
    ['mean([])', null],
    ['timestamp("2026-01-02T00:00:00Z") - timestamp("2026-01-01T23:58:30Z")', '90s'],
    ['[5u, 9223372036854775807]', [5, '9223372036854775807']],
    ['{"at": timestamp("2026-01-02T00:00:00Z")}', { at: '2026-01-02T00:00:00.000Z' }],
    ['bytes("hi")', 'aGk='],
    ['type(1) == int', true],
  ])('%s', (source, value) => expect(compileExpression(source)(scope)).toEqual(value));

  it('see the members of their scope, not what every object inherits, nor the scope before', () => {
    for (const name of ['constructor', 'toString', 'hasOwnProperty'])
      expect(() => compileExpression(name)({ a: 1 })).toThrow(`Unknown variable: ${name}`);
    expect(compileExpression('constructor + 1')({ constructor: 1 })).toBe(2);
    expect(() => compileExpression('a + 1')({ b: 1 })).toThrow('Unknown variable: a');
    expect(compileExpression('a')(Object.assign(Object.create(null), { a: 1 }))).toBe(1);
  });

  it('that do not parse say where', () => {
    expect(() => compileExpression('order.total +')).toThrow(
      expect.objectContaining({ code: 'expression.syntax' }),
    );
  });

  it('walk lists side by side, and add them up', () => {
    const lists = { a: [1, 2.5], b: [3, 4], words: ['x'] };
    expect(compileExpression('transpose([a, b])')(lists)).toEqual([
      [1, 3],
      [2.5, 4],
    ]);
    expect(compileExpression('transpose([a, b]).map(row, mean(row))')(lists)).toEqual([2, 3.25]);
    expect(compileExpression('sum(a) + sum([1, 2])')(lists)).toBe(6.5);
    expect(compileExpression('transpose([])')(lists)).toEqual([]);
    expect(() => compileExpression('transpose([a, words])')(lists)).toThrow('lists of one length');
    expect(() => compileExpression('sum(words)')(lists)).toThrow('sum() takes a list of numbers');
  });

  it('that fail on a value say which expression', () => {
    const expression = compileExpression('order.nothing > 3');
    expect(() => expression(scope)).toThrow(
      expect.objectContaining({
        code: 'expression.failed',
        message: expect.stringContaining('order.nothing > 3'),
      }),
    );
  });
});

describe('documents', () => {
  const schema = compileSchema({
    type: 'object',
    required: ['name'],
    properties: {
      name: { type: 'string' },
      steps: {
        type: 'array',
        items: { type: 'object', properties: { kind: { enum: ['a', 'b'] } }, additionalProperties: false },
      },
    },
  });

  it('say file, line, path, what was found and what was expected', () => {
    const document = readDocument('name: x\nsteps:\n  - kind: a\n  - kind: c\n    extra: 1\n', 'flow.yaml');
    try {
      validateDocument(document, schema);
      expect.unreachable();
    } catch (error) {
      const { issues } = error as AiosError;
      expect(issues).toContainEqual(
        expect.objectContaining({
          file: 'flow.yaml',
          line: 4,
          path: '/steps/1/kind',
          found: '"c"',
          expected: '"a", "b"',
        }),
      );
      expect(issues).toContainEqual(
        expect.objectContaining({ file: 'flow.yaml', line: 5, path: '/steps/1/extra', expected: 'kind' }),
      );
      expect(describeIssue(issues[0]!)).toMatch(/^flow\.yaml:\d+:\d+ \/steps\/1\//);
    }
  });

  it.each(['a: [1', 'a: 1\na: 2', '- 1', ''])('that are not one mapping of YAML are refused: %j', (text) => {
    expect(() => readDocument(text, 'x.yaml')).toThrow(
      expect.objectContaining({ code: 'definition.syntax' }),
    );
  });

  it.each([
    ['a: 1\nb: [2, .inf]', { line: 2, path: '/b/1', found: 'Infinity' }],
    ['a: .nan', { line: 1, path: '/a', found: 'NaN' }],
    ['{"a": 1,\n"b/c": 1e999}', { line: 2, path: '/b~1c', found: 'Infinity' }],
    ['a: !!binary aGk=', { line: 1, path: '/a', found: 'Buffer' }],
    ['a: !!set { x }', { line: 1, path: '/a', found: 'Set' }],
    [
      'a: 1\nb: { c: *x }\nd: &x 1',
      { line: 2, column: 9, path: '', message: 'the alias *x has no anchor &x before it' },
    ],
    [
      `a: &a [1]\nb:\n${'  - *a\n'.repeat(100)}`,
      {
        line: 102,
        path: '',
        message: expect.stringMatching(/^&a .* more than 100 \(definitionAliasesMax\)/),
      },
    ],
    [
      `a: &a [${'x,'.repeat(50)}]\nb: &b [${'*a,'.repeat(50)}]\nc: [${'*b,'.repeat(50)}]`,
      { line: 3, path: '', message: expect.stringMatching(/^&b .*definitionAliasesMax/) },
    ],
  ])('that JSON cannot hold are refused, with the place: %j', (text, issue) => {
    const issues = [expect.objectContaining({ ...issue, file: 'x.yaml' })];
    expect(() => readDocument(text, 'x.yaml')).toThrow(
      expect.objectContaining({ code: 'definition.syntax', issues }),
    );
  });

  it.each([
    ['k { e: [y] }\nd:\n  - { e: 1 }\n  - { f: 2 }', [1]],
    ['a: 1\na: 2\nb: 1\nb: 2', [2, 4]],
    ['a: 1\na: 2\nk { e: [y] }\nd: 3\ne: { f: 4 }', [2, 3]],
  ])('tell the error that broke the syntax, and not what follows from it: %j', (text, lines) => {
    let issues: readonly Issue[] = [];
    try {
      readDocument(text, 'x.yaml');
    } catch (error) {
      issues = (error as AiosError).issues;
    }
    expect(issues.map(({ line }) => line)).toEqual(lines);
  });

  it('take an alias for what its anchor stands at', () => {
    expect(readDocument('a: &x { n: [1] }\nb: *x', 'x.yaml').value).toEqual({ a: { n: [1] }, b: { n: [1] } });
    const many = `a: &a [1]\nb: [${'*a,'.repeat(LIMITS.definitionAliasesMax.value - 1)}]`;
    expect(readDocument(many, 'x.yaml').value.b).toHaveLength(99);
  });

  it('whose schema is none are refused', () => {
    expect(() => compileSchema({ type: 'banana' })).toThrow(
      expect.objectContaining({ code: 'definition.invalid' }),
    );
  });
});

describe('limits', () => {
  it('can each be changed by name', () => {
    const limits = limitsFrom('eventBytesMax=5, commitRowsMax=7');
    expect(limits).toMatchObject({
      eventBytesMax: 5,
      commitRowsMax: 7,
      commitQueueMax: LIMITS.commitQueueMax.value,
    });
  });

  it.each([
    ['nothing=5', 'AIOS_LIMITS: “nothing” is not a limit; docs/limits.md lists them'],
    ['eventByteMax=5', 'AIOS_LIMITS: “eventByteMax” is not a limit; did you mean eventBytesMax?'],
    ['constructor=5', 'AIOS_LIMITS: “constructor” is not a limit; docs/limits.md lists them'],
    ['eventBytesMax', /eventBytesMax takes a positive number, as in eventBytesMax=\d+; “” is not/],
    ['eventBytesMax=-1', /“-1” is not/],
    ['eventBytesMax=many', /“many” is not/],
  ])('refuse “%s”', (text, message) => {
    const told = typeof message === 'string' ? message : expect.stringMatching(message);
    expect(() => limitsFrom(text)).toThrow(expect.objectContaining({ code: 'start.setting', message: told }));
  });
});

describe('the rest of the kernel', () => {
  it('keeps money whole', () => {
    expect(microUsd(0.1) + microUsd(0.2)).toBe(microUsd(0.3));
    expect([formatUsd(18_000), formatUsd(1_250_000), formatUsd(-12), formatUsd(0)]).toEqual([
      '$0.018',
      '$1.25',
      '-$0.000012',
      '$0.00',
    ]);
  });

  it('never lets a manual clock go back', () => {
    const clock = new ManualClock(10);
    const seen: number[] = [];
    const stop = clock.onAdvance((now) => seen.push(now));
    clock.advanceTo(5);
    clock.advanceBy(5);
    stop();
    clock.advanceTo(20);
    expect([clock.now(), seen]).toEqual([20, [15]]);
  });

  it('turns an error into a problem with a code and a way forward', () => {
    const problem = new AiosError('request.too_large', {
      detail: '5 MB',
      extensions: { limit: 1 },
    }).toProblem();
    expect(problem).toMatchObject({
      code: 'request.too_large',
      status: 413,
      detail: '5 MB',
      limit: 1,
      hint: expect.any(String),
    });
    expect(toAiosError(new Error('boom'))).toMatchObject({
      code: 'internal',
      message: 'boom',
      retryable: true,
    });
  });
});
