import { expect, it } from 'vitest';
import type { AiosError } from '../../kernel/errors.ts';
import { CallScopes } from './call-scope.ts';

it.each<[string, number, number | undefined, object]>([
  ['the time of every call', 5, undefined, {}],
  ['the time of every call, where the caller would wait longer', 5, 1000, {}],
  ['the patience of the caller, which tells nothing of the model', 1000, 5, { deadlineOf: 'caller' }],
])('a call that takes too long ends by %s', async (_, msMax, deadlineMs, extensions) => {
  const { signal, end } = new CallScopes().open(new AbortController().signal, msMax, deadlineMs);
  await expect.poll(() => signal.aborted).toBe(true);
  const { code, message, extensions: told } = signal.reason as AiosError;
  expect({ code, message, told }).toEqual({
    code: 'serving.timeout',
    message: 'The call was not over within 5 ms.',
    told: extensions,
  });
  end();
});
