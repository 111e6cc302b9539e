import { Worker } from 'node:worker_threads';
import { describe, expect, it } from 'vitest';
import { isSet, runJq } from './jq-evaluator.ts';
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

  it('goes on waiting when it is woken without an answer, as by the wake-up of the one before', () => {
    const flag = new Int32Array(new SharedArrayBuffer(4));
    const code = `const { workerData: flag } = require('node:worker_threads');
      setInterval(() => Atomics.notify(flag, 0), 1);
      setTimeout(() => { Atomics.store(flag, 0, 1); Atomics.notify(flag, 0); }, 50);`;
    const worker = new Worker(code, { eval: true, workerData: flag });
    expect(isSet(flag, 30_000)).toBe(true);
    expect(Atomics.load(flag, 0)).toBe(1);
    Atomics.store(flag, 0, 0);
    expect(isSet(flag, 20)).toBe(false);
    return worker.terminate();
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
