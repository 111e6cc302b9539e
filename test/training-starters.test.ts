import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import type { App } from '../src/app/app.ts';
import type { JsonObject } from '../src/kernel/json.ts';
import { type OpenedApp, openApp } from './app-under-test.ts';

const document = (name: string) =>
  `document: { dsl: 1.0.0, namespace: test, name: ${name}, version: 1.0.0 }\nevaluate: { language: cel }`;
const startsOn = (type: string) => `schedule: { on: { one: { with: { type: ${type} } } } }`;
const contract = (name: string) => `name: ${name}\nversion: 1.0.0\nowner: test\nschema: {}`;
const NOTING = {
  ...Object.fromEntries(
    ['noted', 'retrain', 'drifted'].map((name) => [`contracts/${name}.yaml`, contract(name)]),
  ),

  'workflows/note.yaml': `${document('note')}\n${startsOn('noted')}\ndo: [ { a: { set: { b: 1 } } } ]`,
};
const TRAINING = {
  ...NOTING,
  'workflows/learn.yaml': `${document('learn')}
${startsOn('retrain')}
do: [ { fit: { call: train:1@default, with: { trainer: nowhere, model: learned } } } ]`,
  'workflows/drift.yaml': `${document('drift')}
${startsOn('drifted')}
do: [ { tell: { emit: { event: { with: { type: retrain, postedby: somebody } } } } } ]`,
};

let app: App;
let close: OpenedApp['close'];
beforeAll(async () => {
  ({ app, close } = await openApp({
    async before(_, folder) {
      const trainers = { trainers: { nowhere: { command: ['no-such-command'] } } };
      await writeFile(join(folder, 'trainers.yaml'), JSON.stringify(trainers));
      vi.stubEnv('AIOS_TRAINERS', join(folder, 'trainers.yaml'));
    },
  }));
}, 60_000);
afterAll(async () => {
  await close();
  vi.unstubAllEnvs();
});

const apply = (files: object) => {
  const bytes = (text: string) => new TextEncoder().encode(text);
  return app.apply(
    Object.entries({ 'aios.yaml': 'name: test', ...files }).map(([path, text]) => ({
      path,
      bytes: bytes(text),
    })),
  );
};
const post = async (one: JsonObject) =>
  expect(await ask('POST', '/api/v1/events', one)).toMatchObject({ accepted: 1 });
async function ask(method: string, path: string, body?: unknown): Promise<JsonObject> {
  const response = await fetch(`${app.url}${path}`, {
    method,
    headers: { authorization: `Bearer ${app.adminKey}`, 'content-type': 'application/json' },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  return (await response.json()) as JsonObject;
}
const event = (id: string, type: string) => ({ specversion: '1.0', id, source: 'test', type });
/** Who started the newest run of a flow, once there are as many as that. */
async function starter(workflow: string, count: number): Promise<unknown> {
  const found = await vi.waitFor(
    async () => {
      const { items } = await ask('GET', `/api/v1/runs?workflow=${workflow}&limit=50`);
      expect(items).toHaveLength(count);
      return items as { id: string }[];
    },
    { timeout: 30_000, interval: 50 },
  );
  const { origin } = (await app.stations.engine.runs.get(found[0]!.id)) as { origin: { startedBy?: string } };
  return origin.startedBy;
}
const posterOf = async (id: string) => {
  const { items } = await ask('GET', '/api/v1/events?source=test');
  return (items as unknown as JsonObject[]).find((one) => one.id === id)?.postedby;
};

it('nothing says who posted an event as long as no flow trains, whatever the poster says', async () => {
  await apply(NOTING);
  await post({ ...event('n-1', 'noted'), postedby: 'somebody' });
  expect(await starter('note', 1)).toBeUndefined();
  expect(await posterOf('n-1')).toBeUndefined();
});

it('who posted the event that a training began with is who started it, over other flows too', async () => {
  await apply(TRAINING);
  const { id: me } = await ask('GET', '/api/v1/me');
  await post({ ...event('t-1', 'retrain'), postedby: 'somebody' });
  expect(await starter('learn', 1)).toBe(me);
  expect(await posterOf('t-1')).toBe(me);
  const send = async (path: string, type: string, body: unknown) => {
    const headers = {
      authorization: `Bearer ${app.adminKey}`,
      'content-type': `application/cloudevents${type}+json`,
    };
    const { status } = await fetch(`${app.url}${path}`, {
      method: 'POST',
      headers,
      body: JSON.stringify(body),
    });
    expect(status).toBe(202);
  };
  await send('/api/v1/events', '-batch', [event('t-2', 'retrain')]);
  expect(await starter('learn', 2)).toBe(me);
  await send('/api/v1/workflows/learn/runs', '', { ...event('t-3', 'retrain'), postedby: 'somebody' });
  expect(await starter('learn', 3)).toBe(me);
  await post(event('t-4', 'drifted'));
  expect(await starter('drift', 1)).toBe(me);
  expect(await starter('learn', 4)).toBe(me);
});
