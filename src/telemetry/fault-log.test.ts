import { describe, expect, it } from 'vitest';
import { AiosError } from '../kernel/errors.ts';
import { createFaultLog } from './fault-log.ts';

function faultsUnderTest() {
  const lines: string[] = [];
  let atMs = 0;
  const keep = (level: string) => (message: string, error?: unknown) =>
    void lines.push(`${level} ${message}${error === undefined ? '' : ` [${(error as Error).message}]`}`);
  const onFault = createFaultLog(
    { faultLogPauseMs: 1000 },
    { warn: keep('warn'), error: keep('error') },
    () => atMs,
  );
  return { lines, onFault, pass: (ms: number) => (atMs += ms) };
}

describe('faults of calls in the log', () => {
  it('are warnings when the table of errors knows them, errors with their cause when nobody foresaw them', () => {
    const { lines, onFault } = faultsUnderTest();
    onFault(new AiosError('serving.unavailable', { detail: 'risk/1 does not start' }));
    onFault(new AiosError('internal', { detail: 'x is undefined', cause: new TypeError('x') }));
    expect(lines).toEqual(['warn serving.unavailable: risk/1 does not start', 'error x is undefined [x]']);
  });

  it('that repeat are counted, and the next line has the number', () => {
    const { lines, onFault, pass } = faultsUnderTest();
    for (let i = 0; i < 1000; i++) onFault(new AiosError('serving.timeout', { detail: `call ${i}` }));
    expect(lines).toEqual(['warn serving.timeout: call 0']);
    onFault(new AiosError('internal', { detail: 'something else' }));
    pass(1000);
    onFault(new AiosError('serving.timeout', { detail: 'call 1000' }));
    onFault(new AiosError('internal', { detail: 'something else' }));
    expect(lines.slice(2)).toEqual([
      'warn serving.timeout: call 1000 (and 999 more like it before)',
      'error something else [something else]',
    ]);
  });

  it('leave out what is not served: anybody may ask for that, as often as they like', () => {
    const { lines, onFault } = faultsUnderTest();
    onFault(new AiosError('serving.extension_unserved'));
    expect(lines).toEqual([]);
  });

  it('are remembered in a bounded number', () => {
    const { lines, onFault } = faultsUnderTest();
    for (let i = 0; i < 201; i++) onFault(new AiosError('internal', { detail: `fault ${i}` }));
    onFault(new AiosError('internal', { detail: 'fault 0' }));
    expect(lines).toHaveLength(202);
  });
});
