import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import type { App } from '../src/app/app.ts';
import { readProject } from '../src/cli/projects.ts';
import { Remote } from '../src/connectors/remote-under-test.ts';
import { planProject } from '../src/store/project.ts';
import { warningsOf } from '../src/store/project-warnings.ts';
import { testFlows } from '../src/workflow/engine/flow-tests.ts';
import { type OpenedApp, openApp } from './app-under-test.ts';
import { runCommand } from './command-line.ts';
import { projectOf } from './docs-project.ts';

/** Documents whose examples are a project of their own; those of `examples/returns` may be named in them. */
const DOCUMENTS = ['flows', 'tasks', 'decisions', 'connectors', 'access'].map((name) => `docs/${name}.md`);
/** Tests of flows stay at home. */
const definitionsOf = (document: string) =>
  projectOf(document)
    .files.filter(({ path }) => !path.startsWith('tests/'))
    .map(({ path, text }) => ({ path, bytes: new TextEncoder().encode(text) }));

describe('the examples in documents', () => {
  let app: App;
  let close: OpenedApp['close'];
  const remote = new Remote();
  beforeAll(async () => {
    await remote.listen();
    vi.stubEnv('AIOS_VAR_SHOP_URL', `http://127.0.0.1:${remote.port}`);
    vi.stubEnv('AIOS_SECRET_SHOP_TOKEN', 'for-the-shop');
    ({ app, close } = await openApp());
  });
  afterAll(async () => {
    await close();
    remote.close();
    vi.unstubAllEnvs();
  });

  it.each(DOCUMENTS)('%s: are planned without a fault or a warning', async (document) => {
    const { kinds, definitions } = app.stations;
    const own = definitionsOf(document);
    const named = (await readProject('examples/returns')).map(({ path, base64 }) => ({
      path,
      bytes: Buffer.from(base64, 'base64'),
    }));
    const planned = await planProject([...named, ...own], kinds, definitions);
    const warnings = warningsOf(planned, { kinds, definitions, registered: () => [] });
    expect(warnings.filter(({ file }) => own.some(({ path }) => path === file))).toEqual([]);
    expect(planned.length).toBeGreaterThan(own.length);
  });

  it.each(DOCUMENTS)(
    '%s: each flow has a result that is stated, by a test or by a command',
    async (document) => {
      const { files, runs } = projectOf(document);
      const reports = await testFlows(files);
      expect(reports.flatMap(({ name, faults }) => faults.map((fault) => `${name}: ${fault}`))).toEqual([]);
      const stated = [...reports.map(({ workflow }) => workflow), ...runs.map(({ args }) => args[1])];
      const flows = files.flatMap(({ path }) => /^workflows\/(.+)\.yaml$/.exec(path)?.[1] ?? []);
      expect(flows.filter((name) => !stated.includes(name))).toEqual([]);
    },
  );

  it.each(DOCUMENTS)('%s: commands that start runs end as the document says', async (document) => {
    const { runs } = projectOf(document);
    if (runs.length === 0) return;
    await app.apply(definitionsOf(document));
    for (const { args, result } of runs)
      expect([args.join(' '), await outcomeOf(args)]).toEqual([args.join(' '), result]);
  });

  it('docs/tasks.md: four eyes are two people, and not the one who asked', async () => {
    await app.apply(definitionsOf('docs/tasks.md'));
    const people = new Map<string, string>();
    for (const name of ['ann', 'ben', 'cem'])
      people.set(name, (await app.stations.access.createKey(name, ['reviewer'], 'system')).key);
    const aios = async (name: string, ...args: string[]) =>
      JSON.parse(
        (await runCommand(['--url', app.url, '--key', people.get(name) ?? app.adminKey, '--json', ...args]))
          .said,
      );
    const { id } = await aios('admin', 'run', 'payout', '--input', '{"amount":900,"by":"ann"}');
    const tasks = await aios('admin', 'inbox', '--all', '--queue', 'payouts');
    const [first, second] = tasks.items.filter(({ runId }: { runId: string }) => runId === id);
    const approve = ['--complete', '{"decision":"approve"}'];
    expect(await aios('ann', 'inbox', first.id, ...approve)).toMatchObject({
      code: 'tasks.requester_excluded',
    });
    expect(await aios('ben', 'inbox', first.id, ...approve)).toMatchObject({ status: 'completed' });
    expect(await aios('ben', 'inbox', second.id, ...approve)).toMatchObject({
      code: 'tasks.one_answer_each',
    });
    await aios('cem', 'inbox', second.id, ...approve);
    await expect
      .poll(async () => (await aios('admin', 'runs', id)).output)
      .toEqual({ paid: true, why: '2 of 2 approved, 2 were needed.' });
  });

  it('docs/connectors.md: the connector acts on a real server as its mappings say, once for a key', async () => {
    remote.respond = (response, _, { method }) => {
      const answer = method === 'GET' ? { total: 19.5 } : { id: 're-1' };
      // The first refund is done, and its answer lost.
      const isLost = remote.seen.filter((call) => call.method === 'POST').length === 1 && method === 'POST';
      response.writeHead(isLost ? 503 : 200, { 'content-type': 'application/json' });
      response.end(JSON.stringify(answer));
    };
    await app.apply(definitionsOf('docs/connectors.md'));
    expect(await outcomeOf(['run', 'repay', '--input', '{"order":"o/1"}'])).toBe('{"id":"re-1","at":null}');
    const [read, ...paid] = remote.seen;
    expect(read).toMatchObject({ method: 'GET', url: '/orders/o%2F1' });
    expect(paid.map(({ url, body }) => [url, body])).toEqual(
      Array(2).fill(['/orders/o%2F1/refunds', '{"cents":1950,"note":"order o/1"}']),
    );
    expect(new Set(paid.map(({ headers }) => headers['idempotency-key'])).size).toBe(1);
    expect(paid[0]!.headers.authorization).toBe('Bearer for-the-shop');
  });

  it('docs/flows.md: a run starts from the event that its flow names', async () => {
    await app.apply(definitionsOf('docs/flows.md'));
    const data = { returnId: 'r-1', customer: 'c-7', product: 'P1', amount: 20 };
    const event = JSON.stringify({
      specversion: '1.0',
      id: 'e-1',
      source: 'urn:docs',
      type: 'refund.asked',
      data,
    });
    // Without the service of the example its first step is as far as it comes.
    expect(await outcomeOf(['run', 'refund', '--event', event])).toBe('fails: features.unknown_service');
  });

  /** What comes of a run, in the words of the documents. */
  async function outcomeOf(args: readonly string[]): Promise<string> {
    const { said } = await runCommand(['--url', app.url, '--key', app.adminKey, '--json', ...args]);
    const { code, status, output, error } = JSON.parse(said);
    if (code) return `refused: ${code}`;
    if (error) return `fails: ${error.code ?? error.type}`;
    return status === 'completed' ? JSON.stringify(output) : status;
  }
});
