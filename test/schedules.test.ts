import { beforeAll, describe, expect, it, vi } from 'vitest';
import { openedApi } from '../src/api/opened-api-under-test.ts';
import { runCommand } from './command-line.ts';

const HOURLY = `
document: { dsl: '1.0.3', namespace: test, name: hourly, version: '1.0.0' }
evaluate: { language: cel }
schedule: { every: { hours: 1 } }
do: [ { a: { set: { b: 1 } } } ]
`;

describe('aios schedules', () => {
  const { api } = openedApi();
  let url: string;
  beforeAll(async () => {
    const files = [{ path: 'workflows/hourly.yaml', text: HOURLY }];
    await api.request({ method: 'POST', url: '/api/v1/apply', role: 'operator', body: { files } });
    await vi.waitFor(async () => {
      const { items } = (await api.request({ url: '/api/v1/schedules', role: 'viewer' })).json();
      expect(items[0].nextAt).toBeDefined();
    });
    url = await api.server.listen({ host: '127.0.0.1', port: 0 });
  });

  const aios = (...args: string[]) => {
    const door = url.replace('127.0.0.1', 'localhost');
    return runCommand(['--url', door, '--key', api.keys.operator, 'schedules', ...args]);
  };

  it('lists, pauses, resumes and fills back', async () => {
    expect((await aios()).said).toMatch(/hourly +every PT1H +in \d+ (min|s|h)/);
    expect((await aios('hourly', '--pause')).said).toMatch(/hourly +every PT1H +paused/);
    expect((await aios('hourly')).said).toMatch(/paused/);
    expect((await aios('hourly', '--resume')).said).toMatch(/every PT1H +in /);
    const range = ['--from', '2026-01-01', '--until', '2026-01-01T03:00:00Z'];
    expect(await aios('hourly', '--backfill', ...range)).toEqual({
      code: 0,
      said: '3 runs are started, 0 were there already\n',
    });
    expect((await aios('hourly', '--backfill', ...range)).said).toMatch(/^0 runs are started, 3 were/);
  });

  it.each([
    [['--pause'], /Name one flow/],
    [['hourly', '--pause', '--resume'], /Name one flow/],
    [['hourly', '--backfill', '--from', '2026-01-01'], /needs --from and --until/],
    [['hourly', '--backfill', '--from', 'soon', '--until', '2026-01-01'], /“soon” is not a time/],
    [['greet'], /workflow\.not_scheduled/],
    [['greet', '--pause'], /workflow\.not_scheduled/],
  ])('says what is wrong with %j', async (args, expected) => {
    const { code, said } = await aios(...args);
    expect(code).not.toBe(0);
    expect(said).toMatch(expected);
  });
});
