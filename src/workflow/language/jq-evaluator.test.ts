import { describe, expect, it } from 'vitest';
import { runJq } from './jq-evaluator.ts';
import { scanJq } from './jq-scan.ts';

describe('jq', () => {
  it('answers a call that waits for it', () => {
    expect(runJq('.a + 1', '{"a":1}')).toEqual({ stdout: '2', stderr: '', exitCode: 0 });
  });

  it('ends a program that does not end, and goes on with the next', () => {
    expect(() => runJq('last(range(1e12))', 'null')).toThrow(/expressionMs/);
    expect(runJq('1', 'null').stdout).toBe('1');
  });

  it('ends a program that takes all memory, and goes on with the next', () => {
    expect(() => runJq('[range(1e12)] | length', 'null')).toThrow(
      expect.objectContaining({ code: 'expression.failed' }),
    );
    expect(runJq('1', 'null').stdout).toBe('1');
  });

  it('survives a recursion without end', () => {
    const answer = (): unknown => runJq('def f: 1 + f; f', 'null').exitCode;
    let code: unknown = 'thrown';
    try {
      code = answer();
    } catch (error) {
      expect(error).toMatchObject({ code: 'expression.failed' });
    }
    expect(code).not.toBe(0);
    expect(runJq('1', 'null').stdout).toBe('1');
  });

  it('reads words, variables and brackets through strings and comments', () => {
    expect(scanJq('"}\\("}" + $x)" }', 0).end).toBe(15);
    expect([...scanJq('$a as $b | "\\($c + "\\($d)")" # $e').variables]).toEqual(['a', 'b', 'c', 'd']);
    expect(scanJq('.now | {now: 1, inputs} | "now"').forbidden).toBeUndefined();
    expect(scanJq('{a: now}').forbidden).toBe('now');
    expect(scanJq('"\\(env.HOME)"').forbidden).toBe('env');
    expect(scanJq('$ENV').forbidden).toBe('$ENV');
  });
});
