import { print } from './output.ts';
import type { Action } from './program.ts';
import { describeRun, type Run, readJson } from './runs.ts';
import { openClient } from './session.ts';

const acting =
  (action: string): Action =>
  async (options, [id]) => {
    const client = await openClient(options);
    const run = await client.request<Run>('POST', `/api/v1/runs/${id}/${action}`, { body: {} });
    print(run, options.json, () => describeRun(run));
    return 0;
  };

export const cancel = acting('cancel');
export const pause = acting('pause');
export const resume = acting('resume');

/** `retry` and `fork`: both go back to a step, in the run itself or in a new one. */
const goingBack =
  (action: string): Action =>
  async (options, [id]) => {
    const client = await openClient(options);
    const { step, fromStart, input } = options as { step?: string; fromStart?: boolean; input?: string };
    const body = {
      ...(step === undefined ? {} : { step }),
      ...(fromStart ? { fromStart } : {}),
      ...(input === undefined ? {} : { input: await readJson(input) }),
    };
    const run = await client.request<Run>('POST', `/api/v1/runs/${id}/${action}`, { body });
    print(run, options.json, () => describeRun(run));
    return 0;
  };

export const retry = goingBack('retry');
export const fork = goingBack('fork');

export const remove: Action = async (options, [id]) => {
  const client = await openClient(options);
  await client.request('DELETE', `/api/v1/runs/${id}`, {});
  print({ id, deleted: true }, options.json, () => `${id} is deleted`);
  return 0;
};
