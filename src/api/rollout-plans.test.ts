import { expect, it } from 'vitest';
import { limitsFrom } from '../kernel/limits.ts';
import type { Rollouts } from '../models/rollouts.ts';
import { rolloutRoutes } from './routes-rollouts.ts';
import { createServer } from './server.ts';

it('a guard of a rollout that is null is off, and one of 0 allows nothing: neither becomes the other on its way in', async () => {
  const started: { guards?: object }[] = [];
  const rollouts = {
    start: async (plan: { guards?: object }) => {
      started.push(plan);
      throw new Error('as far as this test goes');
    },
  } as unknown as Rollouts;
  const caller = { id: 'k', name: 'k', kind: 'key' as const, roles: [], groups: [] };
  const server = await createServer({
    limits: limitsFrom(),
    access: { authenticate: () => caller, can: () => true },
    onFault: () => {},
    routes: [rolloutRoutes({ rollouts })],
  });
  const start = async (guards: object) => {
    const payload = { challenger: 2, kind: 'canary', guards };
    const { statusCode } = await server.inject({
      method: 'POST',
      url: '/api/v1/models/risk/rollouts',
      payload,
    });
    return statusCode === 400 ? 'refused' : started.pop()?.guards;
  };
  const off = { errorRateMax: null, latencyRatioMax: null, disagreementMax: null };
  expect(await start(off)).toEqual(off);
  const none = { errorRateMax: 0, latencyRatioMax: 1, disagreementMax: 0 };
  expect(await start(none)).toEqual(none);
  expect(await start({ errorRateMax: 1.5 })).toBe('refused');
  expect(await start({ latencyRatioMax: 0.5 })).toBe('refused');
  // A body is taken as it says it is; text becomes a number only where all is text, in an address.
  expect(await start({ samplesMin: '50' })).toBe('refused');
  expect(await start({ samplesMin: null })).toBe('refused');
  await server.close();
});
