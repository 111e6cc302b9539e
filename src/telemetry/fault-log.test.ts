import { describe, expect, it } from 'vitest';
import { AiosError } from '../kernel/errors.ts';
import { createFaultLog } from './fault-log.ts';
import { Troubles } from './troubles.ts';

function faultsUnderTest() {
  const lines: string[] = [];
  let atMs = 0;
  const keep = (level: string) => (message: string, error?: unknown, details?: object) =>
    void lines.push(
      `${level} ${message}${error === undefined ? '' : ` [${(error as Error).message}]`}${details ? ` ${JSON.stringify(details)}` : ''}`,
    );
  const limits = { faultLogPauseMs: 1000, troubleSilenceMs: 60_000 };
  const logger = { warn: keep('warn'), error: keep('error') };
  const onFault = createFaultLog(new Troubles(limits, { logger, now: () => atMs }));
  return { lines, onFault, pass: (ms: number) => (atMs += ms) };
}

describe('faults of calls in the log', () => {
  it('are warnings when the table of errors knows them, errors with their cause when nobody foresaw them', () => {
    const { lines, onFault } = faultsUnderTest();
    onFault(new AiosError('serving.unavailable', { detail: 'risk/1 does not start' }), 'req_1');
    onFault(new AiosError('internal', { detail: 'x is undefined', cause: new TypeError('x') }));
    expect(lines).toEqual([
      'warn serving.unavailable: risk/1 does not start {"request_id":"req_1"}',
      'error x is undefined: x [x]',
    ]);
  });

  it('that repeat are counted, and the next line has the number', () => {
    const { lines, onFault, pass } = faultsUnderTest();
    for (let i = 0; i < 1000; i++) onFault(new AiosError('serving.timeout', { detail: `call ${i}` }));
    expect(lines).toEqual(['warn serving.timeout: call 0']);
    onFault(new AiosError('internal', { detail: 'something else' }));
    pass(1000);
    onFault(new AiosError('serving.timeout', { detail: 'call 1000' }));
    onFault(new AiosError('internal', { detail: 'something else' }));
    expect(lines.slice(1)).toEqual([
      'error something else [something else]',
      'warn serving.timeout: call 1000 (and 999 more like it before)',
    ]);
  });

  it('have no place for what somebody wrote: of an answer that does not fit they say where', () => {
    const { lines, onFault } = faultsUnderTest();
    const issues = [
      { path: '/choices/0/message/content', message: 'is no JSON', found: 'Jane Doe, born 1980' },
    ];
    onFault(new AiosError('chat.output_invalid', { issues }));
    expect(lines).toEqual([
      'warn chat.output_invalid: what was found does not fit at /choices/0/message/content',
    ]);
  });

  it('leave out what is not served: anybody may ask for that, as often as they like', () => {
    const { lines, onFault } = faultsUnderTest();
    onFault(new AiosError('serving.extension_unserved'));
    expect(lines).toEqual([]);
  });
});
