import { AiosError } from '../kernel/errors.ts';
import { isObject, type Json, type JsonObject } from '../kernel/json.ts';
import type { Action } from './command-row.ts';
import { EXIT, print, relativeTime, table } from './output.ts';
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

const VERBS = ['pause', 'resume', 'restart', 'position', 'reset'] as const;

/** Lists bridges; with a name shows one, pauses it, lets it go on, opens it anew or moves its place. */
export const bridges: Action = async (options, [name]) => {
  const client = await openClient(options);
  const [verb, another] = VERBS.filter((one) => options[one]);
  if (another) throw new AiosError('request.invalid', { detail: `One of --${verb} and --${another}.` });
  if (name === undefined) {
    if (verb)
      throw new AiosError('request.invalid', { detail: `Name the bridge: aios bridges <name> --${verb}.` });
    const answer = await client.request<{ items: Bridge[] }>('GET', URL);
    print(answer, options.json, () => describe(answer.items));
    return EXIT.ok;
  }
  const one = `${URL}/${encodeURIComponent(name)}`;
  let bridge: Bridge;
  if (verb === undefined) bridge = await client.request<Bridge>('GET', one);
  else if (verb === 'position' || verb === 'reset') {
    const position = verb === 'reset' ? null : positionOf(String(options.position));
    bridge = await client.request<Bridge>('PUT', `${one}/position`, { body: { position } });
  } else bridge = await client.request<Bridge>('POST', `${one}/${verb}`);
  print(bridge, options.json, () => [describe([bridge]), ...linesOf(bridge)].join('\n'));
  return EXIT.ok;
};

function positionOf(text: string): JsonObject {
  try {
    const position = JSON.parse(text) as Json;
    if (isObject(position)) return position;
  } catch {
    // said below
  }
  throw new AiosError('request.invalid', {
    detail: '--position takes an object of JSON, as `aios bridges <name>` shows it.',
  });
}

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
