import type { FastifyInstance } from 'fastify';
import { Type } from 'typebox';
import { route } from './routes.ts';
import { errorRoutes } from './routes-errors.ts';

interface Dependencies {
  /** What must work before traffic may come, by name; an error's text for what does not. */
  checks: Readonly<Record<string, () => Promise<void> | void>>;
  /** The metrics in Prometheus's text form; without it there is no route. */
  metrics?: (() => Promise<string>) | undefined;
}

const State = Type.Object({ status: Type.String() });
const Readiness = Type.Object({ ready: Type.Boolean(), checks: Type.Record(Type.String(), Type.String()) });
const tag = 'system';

/** What orchestrators and scrapers ask: alive, ready, measured. */
export function systemRoutes({ checks, metrics }: Dependencies): (server: FastifyInstance) => void {
  return (server) => {
    errorRoutes(server);
    route(server, {
      method: 'GET',
      url: '/healthz',
      permission: 'public',
      summary: 'Whether the process is alive',
      tag,
      answer: State,
      handle: () => ({ status: 'live' }),
    });
    route(server, {
      method: 'GET',
      url: '/readyz',
      permission: 'public',
      summary: 'Whether the process is ready for traffic; 503 with the reason if not',
      tag,
      answer: Readiness,
      handle: async ({ reply }) => {
        const outcomes = await Promise.all(
          Object.entries(checks).map(async ([name, check]): Promise<[string, string]> => {
            try {
              await check();
              return [name, 'ok'];
            } catch (error) {
              return [name, error instanceof Error ? error.message : String(error)];
            }
          }),
        );
        const ready = outcomes.every(([, outcome]) => outcome === 'ok');
        if (!ready) reply.code(503);
        return { ready, checks: Object.fromEntries(outcomes) };
      },
    });
    if (!metrics) return;
    route(server, {
      method: 'GET',
      url: '/metrics',
      permission: 'public',
      summary: 'Metrics in the text format of Prometheus',
      tag,
      handle: async ({ reply }) =>
        reply.type('text/plain; version=0.0.4; charset=utf-8').send(await metrics()),
    });
  };
}
