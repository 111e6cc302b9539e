import type { FastifyInstance } from 'fastify';
import type { Tasks } from '../tasks/tasks.ts';
import type { WorkflowEngine } from '../workflow/engine/engine.ts';
import { type EventStream, openEventStream } from './event-stream.ts';
import { route } from './routes.ts';
import { summaryOf } from './routes-runs.ts';
import { AnyObject } from './shapes.ts';

interface Dependencies {
  engine: WorkflowEngine;
  tasks: Tasks;
  /** The figures of the first page; cheap, since open pages are told them every two seconds. */
  kpis(): Promise<object>;
}

const STATS_MS = 2_000;
/** People read no more than this; at thousands of runs a second the rest would fill the line. */
const RUNS_PER_SECOND = 10;
const SECOND_MS = 1_000;

/** The figures, and what happens now. */
export function liveRoutes({ engine, tasks, kpis }: Dependencies): (server: FastifyInstance) => void {
  const feed = new LiveFeed(engine, tasks, kpis);
  return (server) => {
    route(server, {
      method: 'GET',
      url: '/api/v1/kpis',
      permission: 'runs.read',
      summary: 'Runs, decisions, costs, tasks, events and latency at a glance',
      tag: 'live',
      answer: AnyObject,
      handle: () => kpis(),
    });
    route(server, {
      method: 'GET',
      url: '/api/v1/stream',
      permission: 'runs.read',
      summary: 'Server-sent events: `stats` every two seconds, `run` (a sample) and `task` as they change',
      tag: 'live',
      handle: ({ request, reply }) => feed.add(openEventStream(request, reply)),
    });
  };
}

/** One source for all readers; it listens only while there is one. */
class LiveFeed {
  readonly #engine: WorkflowEngine;
  readonly #tasks: Tasks;
  readonly #kpis: () => Promise<object>;
  readonly #readers = new Set<EventStream>();
  #stop: () => void = () => {};

  constructor(engine: WorkflowEngine, tasks: Tasks, kpis: () => Promise<object>) {
    this.#engine = engine;
    this.#tasks = tasks;
    this.#kpis = kpis;
  }

  add(stream: EventStream): void {
    this.#readers.add(stream);
    if (this.#readers.size === 1) this.#begin();
    stream.onClose(() => {
      this.#readers.delete(stream);
      if (this.#readers.size === 0) this.#stop();
    });
    void this.#tellStats([stream]);
  }

  #begin(): void {
    let second = 0;
    let sent = 0;
    const stopRuns = this.#engine.onRunChanged((change) => {
      const now = Math.floor(performance.now() / SECOND_MS);
      if (now !== second) [second, sent] = [now, 0];
      if (sent++ < RUNS_PER_SECOND) this.#tell('run', summaryOf(change));
    });
    const stopTasks = this.#tasks.onChanged(({ id, status, queue }) =>
      this.#tell('task', { id, status, queue }),
    );
    const timer = setInterval(() => void this.#tellStats(this.#readers), STATS_MS);
    this.#stop = () => {
      stopRuns();
      stopTasks();
      clearInterval(timer);
    };
  }

  #tell(event: string, data: unknown): void {
    for (const reader of this.#readers) reader.send(event, data);
  }

  async #tellStats(readers: Iterable<EventStream>): Promise<void> {
    try {
      const kpis = await this.#kpis();
      for (const reader of readers) reader.send('stats', kpis);
    } catch {
      // the database is away: the next time tells
    }
  }
}
