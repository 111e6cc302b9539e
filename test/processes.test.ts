import { createServer, type ServerResponse } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { freePort, type Product, startProduct, temporaryFolder } from '../bench/product.ts';

const WAIT = { timeout: 30_000, interval: 200 };
const contract = (type: string) => `
name: ${type}
version: 1.0.0
owner: test
schema: { type: object }
`;
const flow = (name: string, steps: string, more = '', metadata = '') => `
document: { dsl: '1.0.0', namespace: test, name: ${name}, version: '1.0.0'${metadata} }
evaluate: { language: cel }
${more}
do: ${steps}
`;
const call = (path: string) => `{ call: http, with: { method: post, endpoint: 'BASE${path}', body: {} } }`;
const PROJECT: Record<string, string> = {
  'contracts/counted.yaml': contract('counted'),
  'contracts/ping.yaml': contract('ping'),
  'run-queues/narrow.yaml': 'name: narrow\nconcurrency: 3\nperWorker: 2\n',
  'workflows/quick.yaml': flow('quick', '[ { a: { set: { version: one } } } ]'),
  'workflows/counting.yaml': flow(
    'counting',
    `[ { a: ${call('/counted')} } ]`,
    'schedule: { on: { one: { with: { type: counted } } } }',
  ),
  'workflows/slow.yaml': flow('slow', `[ { a: ${call('/slow')} }, { b: { set: { done: true } } } ]`),
  'workflows/queued.yaml': flow(
    'queued',
    `[ { a: ${call('/slow')} } ]`,
    '',
    ', metadata: { aios: { queue: { name: narrow } } }',
  ),
  'workflows/hears.yaml': flow(
    'hears',
    `[ { both: { fork: { branches: [ { a: ${call('/slow')} }, { b: { do: [ { ear: { listen: { to: { one: { with: { type: ping } } } } } }, { told: ${call('/heard')} } ] } } ] } } } ]`,
  ),
};

/** An outside system: calls of `/slow` are answered when they are let go. */
class Outside {
  readonly calls = new Map<string, number>();
  #held: ServerResponse[] = [];
  #open = false;
  #server = createServer((request, response) => {
    const path = request.url!;
    this.calls.set(path, (this.calls.get(path) ?? 0) + 1);
    request.resume();
    response.setHeader('content-type', 'application/json');
    if (path === '/slow' && !this.#open) this.#held.push(response);
    else response.end('{}');
  });

  listen = (port: number) => new Promise<void>((done) => this.#server.listen(port, '127.0.0.1', done));
  times = (path: string) => this.calls.get(path) ?? 0;

  shut(): void {
    this.#open = false;
    this.calls.clear();
  }

  letGo(): void {
    this.#open = true;
    for (const response of this.#held.splice(0)) response.end('{}');
  }

  close(): void {
    this.letGo();
    this.#server.closeAllConnections();
    this.#server.close();
  }
}

type Run = { id: string; status: string; version: number; output?: unknown };

describe('several processes over one database', () => {
  const outside = new Outside();
  let folder: Awaited<ReturnType<typeof temporaryFolder>>;
  let base: string;
  let api: Product;
  let workers: Product[] = [];
  const env = { AIOS_LIMITS: 'runLeaseMs=1500,runPollMs=200,httpCallMs=120000', AIOS_LOG: 'error' };

  const startWorker = async (): Promise<Product> => {
    const port = await freePort();
    const own = {
      ...env,
      AIOS_WORKER_PORT: String(port),
      AIOS_HTTP_ALLOW_PRIVATE: base.slice('http://'.length),
    };
    return startProduct({ dataDir: folder.path, port, args: ['--role', 'worker'], env: own });
  };
  const apply = (files: Record<string, string>) =>
    api.client.request('POST', '/api/v1/apply', {
      body: {
        files: Object.entries(files).map(([path, text]) => ({ path, text: text.replaceAll('BASE', base) })),
      },
    });
  const start = (name: string, wait?: string, key?: string) =>
    api.client.request<Run>('POST', `/api/v1/workflows/${name}/runs`, {
      body: { input: {} },
      query: { wait },
      ...(key === undefined ? {} : { headers: { 'idempotency-key': key } }),
    });
  const reaches = (id: string, status: string) =>
    vi.waitFor(
      async () => {
        const run = await api.client.request<Run>('GET', `/api/v1/runs/${id}`);
        expect(run.status).toBe(status);
        return run;
      },
      { timeout: 20_000, interval: 50 },
    );
  const publish = (type: string, ids: readonly string[]) =>
    api.client.request('POST', '/api/v1/events', {
      headers: { 'content-type': 'application/cloudevents-batch+json' },
      body: ids.map((id) => ({
        specversion: '1.0',
        id,
        source: 'urn:test',
        type,
        time: new Date().toISOString(),
        data: {},
      })),
    });
  /** Runs that a process has ended, by its metrics. */
  const ended = async ({ port }: Product, workflow: string) => {
    const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
    const lines = text
      .split('\n')
      .filter((line) => line.startsWith('aios_workflow_runs') && line.includes(`"${workflow}"`));
    return lines.reduce((sum, line) => sum + Number(line.split(' ').at(1)), 0);
  };

  beforeAll(async () => {
    folder = await temporaryFolder();
    const port = await freePort();
    base = `http://127.0.0.1:${port}`;
    await outside.listen(port);
    api = await startProduct({ dataDir: folder.path, port: await freePort(), args: ['--role', 'api'], env });
    workers = await Promise.all([startWorker(), startWorker()]);
    await apply(PROJECT);
  }, 120_000);
  afterAll(async () => {
    outside.close();
    for (const worker of workers) await worker.stop();
    await api?.stop();
    await folder?.dispose();
  });

  it('a worker has its probes and metrics and no other door', async () => {
    const at = (path: string) => fetch(`http://127.0.0.1:${workers[0]!.port}${path}`);
    expect((await at('/healthz')).status).toBe(200);
    expect((await at('/readyz')).status).toBe(200);
    expect((await at('/api/v1/runs')).status).toBe(404);
  });

  it('a start that its caller waits for is answered by the run of another process', async () => {
    expect(await start('quick', '10s')).toMatchObject({ status: 'completed', output: { version: 'one' } });
    expect(await ended(api, 'quick')).toBe(0);
  });

  it('share the runs of events; what one applies, the others use soon', async () => {
    outside.shut();
    const counts = () => Promise.all([...workers, api].map((each) => ended(each, 'counting')));
    let published = 0;
    // How the events fall to them is theirs to say: there are more until each has had one.
    await vi.waitFor(
      async () => {
        await publish('counted', [`counted-${published++}`]);
        expect(published).toBeGreaterThanOrEqual(60);
        expect(Math.min(...(await counts()).slice(0, 2)), 'runs of the worker with fewer').toBeGreaterThan(0);
      },
      { ...WAIT, interval: 15 },
    );
    await vi.waitFor(() => expect(outside.times('/counted')).toBe(published), WAIT);
    await vi.waitFor(async () => {
      const [one, two, ofApi] = await counts();
      expect(one! + two!).toBe(published);
      expect(ofApi).toBe(0);
    }, WAIT);
    const steps = `[ { a: ${call('/newer')} } ]`;
    await apply({
      'workflows/counting.yaml': flow(
        'counting',
        steps,
        'schedule: { on: { one: { with: { type: counted } } } }',
      ),
    });
    // Until they have read what is new, old runs are right: a round that is all new must come.
    let rounds = 0;
    await vi.waitFor(async () => {
      const [newer, old] = [outside.times('/newer'), outside.times('/counted')];
      const ids = Array.from({ length: 10 }, (_, i) => `newer-${rounds}-${i}`);
      rounds++;
      await publish('counted', ids);
      const done = () => outside.times('/newer') + outside.times('/counted') - newer - old;
      await vi.waitFor(() => expect(done()).toBe(10), WAIT);
      expect(outside.times('/counted') - old, 'runs of the version before').toBe(0);
    }, WAIT);
  });

  it('an event and a cancellation reach a run that another process holds; one key is one run', async () => {
    outside.shut();
    const { id } = await start('hears');
    await vi.waitFor(() => expect(outside.times('/slow')).toBe(1), WAIT);
    let pings = 0;
    await vi.waitFor(async () => {
      await publish('ping', [`ping-${pings++}`]); // none is kept for it before its subscription is committed
      expect(outside.times('/heard')).toBe(1);
    }, WAIT);
    const twice = [start('slow', '2s', 'key'), start('slow', '2s', 'key')];
    await api.client.request('POST', `/api/v1/runs/${id}/cancel`);
    await reaches(id, 'canceled');
    const [one, two] = await Promise.all(twice);
    expect(one).toMatchObject({ id: two!.id, status: 'running' });
    outside.letGo();
    await reaches(one!.id, 'completed');
  });

  it('keep to the bounds of a queue together, and take over what a killed one held', async () => {
    outside.shut();
    const runs = [];
    for (let i = 0; i < 8; i++) runs.push(await start('queued'));
    await vi.waitFor(() => expect(outside.times('/slow')).toBe(3), WAIT);
    await sleep(500);
    expect(outside.times('/slow')).toBe(3);
    const figures = async () =>
      (await api.client.request<{ items: { name: string }[] }>('GET', '/api/v1/run-queues')).items.filter(
        ({ name }) => name === 'narrow',
      );
    expect(await figures()).toMatchObject([{ name: 'narrow', pending: 5, admitted: 3 }]);
    await workers.shift()!.kill();
    // Its lease runs out; the other takes its runs over with their slots: the effects under way are made again, under the same keys.
    await vi.waitFor(() => expect(outside.times('/slow')).toBeGreaterThan(3), WAIT);
    expect(await figures()).toMatchObject([{ name: 'narrow', pending: 5, admitted: 3 }]);
    outside.letGo();
    for (const { id } of runs) await reaches(id, 'completed');
    expect(await figures()).toMatchObject([{ pending: 0, admitted: 0 }]);
  });
});
