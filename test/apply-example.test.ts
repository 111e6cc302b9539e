import { afterAll, beforeAll, expect, it } from 'vitest';
import { filesOf, type OpenedApp, openApp } from './app-under-test.ts';

const contract = (version: string, properties: string) =>
  `name: asked\nowner: me\nversion: ${version}\nschema: { type: object, properties: { ${properties} } }\n`;
const flow = (says: string) =>
  `document: { dsl: '1.0.0', namespace: test, name: greet, version: '1.0.0' }\ndo:\n  - hello: { set: { hello: '${says}' } }\n`;
const queue = (outcome: string) =>
  `name: check\ntitle: To check\nform: { type: object, properties: { outcome: { type: string } } }\ndeadline: 2h\nonDeadline: { outcome: '${outcome}' }\n`;

const EXAMPLE = {
  'contracts/asked.yaml': contract('1.0.0', 'a: { type: string }'),
  'queues/check.yaml': queue('no'),
  'workflows/greet.yaml': flow('example'),
};

let opened: OpenedApp;
beforeAll(async () => {
  opened = await openApp();
}, 60_000);
afterAll(() => opened.close());

const started = (files: Readonly<Record<string, string>>) => opened.app.applyExample('small', filesOf(files));
const newest = (kind: string, name: string) => {
  const { version, createdBy, body } = opened.app.stations.definitions.latest(kind, name)!;
  return { version, createdBy, body };
};

it('an example that is started again leaves what somebody has changed, and brings the rest', async () => {
  expect(await started(EXAMPLE)).toEqual({ kept: [], misfit: undefined });
  expect(await started(EXAMPLE)).toEqual({ kept: [], misfit: undefined });
  expect(newest('workflow', 'greet')).toMatchObject({ version: 1, createdBy: 'example:small' });

  // The contract of the example would be a step back from this one, which no plan takes.
  const changed = {
    'workflows/greet.yaml': flow('mine'),
    'contracts/asked.yaml': contract('1.1.0', 'a: { type: string }, b: { type: string }'),
  };
  await opened.app.apply(filesOf(changed));
  expect(await started({ ...EXAMPLE, 'queues/check.yaml': queue('never') })).toEqual({
    kept: ['contract asked v2', 'workflow greet v2'],
    misfit: undefined,
  });
  expect(newest('workflow', 'greet')).toMatchObject({
    version: 2,
    body: { do: [{ hello: { set: { hello: 'mine' } } }] },
  });
  expect(newest('queue', 'check')).toMatchObject({ version: 2, body: { onDeadline: { outcome: 'never' } } });
});

it('a change that was taken back is none', async () => {
  await opened.app.apply(filesOf({ 'workflows/greet.yaml': EXAMPLE['workflows/greet.yaml'] }));
  expect(await started({ 'workflows/greet.yaml': flow('a new example') })).toMatchObject({ kept: [] });
  expect(newest('workflow', 'greet')).toMatchObject({ version: 4, createdBy: 'example:small' });
});

it('an example that no longer fits what was changed is left as it was, and says why; one that nobody changed is refused', async () => {
  const broken = {
    'workflows/greet.yaml': flow('next'),
    'queues/check.yaml': `${queue('no')}calendar: none\n`,
  };
  expect(await started({ ...EXAMPLE, ...broken })).toMatchObject({
    kept: ['contract asked v2'],
    misfit: { code: expect.stringMatching(/^definition\./) },
  });
  expect(newest('workflow', 'greet')).toMatchObject({ version: 4 });
  await expect(started(broken)).rejects.toMatchObject({ code: expect.stringMatching(/^definition\./) });
});
