import { AiosError } from '../kernel/errors.ts';
import { EXIT, print, relativeTime, table } from './output.ts';
import type { Action } from './program.ts';
import { openClient } from './session.ts';

interface Bridge {
  name: string;
  direction: 'source' | 'sink';
  protocol: string;
  state: string;
  passed: number;
  rejected: number;
  lag?: number;
  movedAt?: string;
  position?: object;
  problem?: { detail: string; hint: string };
  notice?: { detail: string };
  noticeAt?: string;
}

const URL = '/api/v1/bridges';

/** Lists bridges; with a name shows one, pauses it or lets it go on. */
export const bridges: Action = async (options, [name]) => {
  const client = await openClient(options);
  if (options.pause && options.resume)
    throw new AiosError('request.invalid', { detail: 'One of --pause and --resume.' });
  if (name === undefined) {
    if (options.pause || options.resume)
      throw new AiosError('request.invalid', { detail: 'Name the bridge: aios bridges <name> --pause.' });
    const answer = await client.request<{ items: Bridge[] }>('GET', URL);
    print(answer, options.json, () => describe(answer.items));
    return EXIT.ok;
  }
  const one = `${URL}/${encodeURIComponent(name)}`;
  let bridge: Bridge;
  if (options.pause) bridge = await client.request<Bridge>('POST', `${one}/pause`);
  else if (options.resume) bridge = await client.request<Bridge>('POST', `${one}/resume`);
  else bridge = await client.request<Bridge>('GET', one);
  print(bridge, options.json, () => [describe([bridge]), ...linesOf(bridge)].join('\n'));
  return EXIT.ok;
};

function describe(items: readonly Bridge[]): string {
  return table(
    ['bridge', 'direction', 'state', 'passed', 'put aside', 'behind', 'last moved', 'why'],
    items.map(({ name, direction, protocol, state, passed, rejected, lag, movedAt, problem }) => [
      name,
      direction === 'source' ? `from ${protocol}` : `to ${protocol}`,
      state,
      String(passed),
      String(rejected),
      lag === undefined ? '' : String(lag),
      relativeTime(movedAt),
      problem?.detail ?? '',
    ]),
  );
}

function linesOf({ position, problem, notice, noticeAt }: Bridge): string[] {
  return [
    ...(position ? [`Place: ${JSON.stringify(position)}`] : []),
    ...(problem ? [`What now: ${problem.hint}`] : []),
    ...(notice ? [`Noticed ${relativeTime(noticeAt)}: ${notice.detail}`] : []),
  ];
}
