import { beforeAll, describe, expect, it } from 'vitest';
import { returnRequested } from '../src/api/api-under-test.ts';
import { openedApi } from '../src/api/opened-api-under-test.ts';
import { runCommand } from './command-line.ts';

describe('aios runs', () => {
  const { api } = openedApi();
  let url = '';
  beforeAll(async () => {
    url = await api.server.listen({ host: '127.0.0.1', port: 0 });
  });

  /** Runs the command line as an admin; its exit code and what it printed as JSON. */
  async function aios(...args: string[]) {
    const { code, said } = await runCommand(['--url', url, '--key', api.keys.admin, '--json', ...args]);
    return { code, text: said, json: parsed(said) };
  }

  function parsed(text: string) {
    try {
      return JSON.parse(text);
    } catch {
      return undefined;
    }
  }

  const waiting = async (id: string, amount = 30) =>
    (await aios('run', 'returns', '--event', JSON.stringify(returnRequested(id, amount)), '--wait', '5s'))
      .json;

  it('cancels, retries, forks and deletes one', async () => {
    const { id } = await waiting('cli-1');
    const made = expect.objectContaining({ kind: 'workflow', name: 'returns' });
    expect((await aios('runs', id)).json.pins).toContainEqual(made); // while it waits: its charges have their flow
    expect((await aios('runs', 'pause', id)).json).toMatchObject({ status: 'paused' });
    expect((await aios('runs', 'resume', id)).code).toBe(0);
    expect((await aios('runs', 'cancel', id)).json).toMatchObject({ status: 'canceled' });
    expect((await aios('runs', 'retry', id, '--step', 'ask')).json).toMatchObject({ id, attempt: 2 });
    expect((await aios('runs', 'fork', id, '--step', 'ask')).json).toMatchObject({
      forkedFrom: { runId: id },
    });
    expect((await aios('runs', 'retry', id)).text).toContain('workflow.not_ended');
    await aios('runs', 'cancel', id);
    expect((await aios('runs', 'delete', id)).json).toEqual({ id, deleted: true });
    expect((await aios('runs', id)).code).toBe(1);
  });

  it('ends a wait by a signal, and answers nothing in the place of a person', async () => {
    const document = { dsl: '1.0.3', namespace: 'test', name: 'holds', version: '1.0.0' };
    const body = {
      document,
      do: [{ cool: { do: [{ hold: { wait: 'P90D' } }] } }, { end: { set: { done: true } } }],
    };
    const put = { method: 'PUT', url: '/api/v1/workflows/holds', role: 'operator', body } as const;
    expect((await api.request(put)).statusCode).toBe(200);
    const { id } = (await aios('run', 'holds', '--wait', '1s')).json;
    expect((await aios('runs', 'signal', id)).text).toContain('Name the step with --step');
    const shown = await runCommand(['--url', url, '--key', api.keys.admin, 'runs', id]);
    expect(shown.said).toMatch(/^cool\/hold/m);
    expect(shown.said).toContain('It waits for a time.');
    expect((await aios('runs', 'signal', id, '--step', 'cool/hold')).code).toBe(0);
    await expect.poll(() => aios('runs', id).then(({ json }) => json.status)).toBe('completed');
    const asked = (await waiting('cli-signal')).id;
    const forged = await aios('runs', 'signal', asked, '--step', 'ask', '--payload', '{"result":1}');
    expect([forged.code, forged.text]).toEqual([1, expect.stringContaining('workflow.signal_refused')]);
    await aios('runs', 'cancel', asked);
  });

  it('says at which step a run failed, what there is instead of what is not, and who did what', async () => {
    const document = { dsl: '1.0.3', namespace: 'test', name: 'fails', version: '1.0.0' };
    const steps = [{ inner: { do: [{ name: { set: { of: '${ input.name }' } } }] } }];
    const body = { document, evaluate: { language: 'cel' }, do: steps };
    await api.request({ method: 'PUT', url: '/api/v1/workflows/fails', role: 'operator', body });
    const plain = async (...args: string[]) =>
      (await runCommand(['--url', url, '--key', api.keys.admin, ...args])).said;
    expect(await plain('run', 'fails')).toMatch(
      /expression\.failed .*No such key.*^at {6}\/do\/0\/inner\/do\/0\/name$/ms,
    );
    expect(await plain('run', 'fials')).toMatch(/There is no flow “fials”; .*fails.* are applied/);
    const by = /key the admin \(key_/;
    await expect.poll(() => plain('audit')).toMatch(by);
    const entries = (await aios('audit')).json.items as { index: number; kind: string }[];
    expect(await plain('audit', String(entries.find(({ kind }) => kind === 'run')!.index))).toMatch(by);
    const nowhere = await runCommand(['workflows', 'test', 'nowhere']);
    expect(nowhere).toEqual({ code: 1, said: expect.stringContaining('There is no project folder nowhere') });
    const none = await runCommand(['workflows', 'test', import.meta.dirname]);
    expect(none).toEqual({ code: 1, said: expect.stringContaining('There are no tests in') });
  });

  it('starts no flow that waits for an event when it is given none', async () => {
    const before = (await aios('runs')).json.items.length;
    const { code, text } = await aios('run', 'returns');
    expect([code, text]).toEqual([
      1,
      expect.stringMatching(/returns starts on return\.requested: give one with --event/),
    ]);
    expect((await aios('runs')).json.items).toHaveLength(before);
    const { detail } = JSON.parse(text) as { detail: string };
    const [, example] = /\n {2}aios run returns --event '(.*)'$/.exec(detail)!;
    expect((await aios('run', 'returns', '--event', example!, '--wait', '5s')).code).toBe(0);
    const missing = await aios('run', 'returns', '--event', '@nowhere.json');
    expect(JSON.parse(missing.text)).toMatchObject({
      code: 'client.file',
      detail: 'nowhere.json: there is no such file.',
    });
    const unknown = await runCommand(['rn']);
    expect(unknown).toEqual({ code: 64, said: expect.stringMatching(/Did you mean run.*--help to see/s) });
  });

  it('tells which versions of a flow still have runs', async () => {
    const { id } = await waiting('cli-v');
    const report = await aios('workflows', 'versions', 'returns');
    expect(report.json.items).toMatchObject([
      {
        version: 1,
        current: true,
        oldestRunId: expect.any(String),
        stands: [{ status: 'waiting', waitingFor: 'human-task' }],
      },
    ]);
    await aios('runs', 'cancel', id);
  });

  it('counts those that a filter names, and does it with --yes', async () => {
    const [one, two] = [await waiting('cli-2', 41), await waiting('cli-3', 41)];
    const filter = ['--workflow', 'returns', '--attr', 'amount=41'];
    expect((await aios('runs', ...filter)).json.items).toHaveLength(2);
    const counted = await aios('runs', 'cancel', ...filter);
    expect([counted.code, counted.json]).toMatchObject([2, { count: 2, status: 'prepared' }]);
    const done = await aios('runs', 'cancel', ...filter, '--yes');
    expect([done.code, done.json]).toMatchObject([0, { count: 2, done: 2, status: 'completed' }]);
    for (const { id } of [one, two])
      await expect.poll(() => aios('runs', id).then(({ json }) => json.status)).toBe('canceled');
    expect((await aios('runs', 'cancel')).text).toContain('Name a run, or a filter');
  });
});
