import type { FastifyInstance } from 'fastify';
import type { TSchema } from 'typebox';
import { type Route, route } from './routes.ts';
import { AnyObject } from './shapes.ts';

type Described<
  Body extends TSchema | undefined,
  Query extends TSchema | undefined,
  Params extends TSchema | undefined,
> = Omit<Route<Body, Query, Params>, 'url' | 'tag' | 'answer' | 'status'> & { path: string };

/** A route of MLflow's REST API (mlflow.org, “REST API”), answered as its own server answers. */
export function mlflowRoute<
  Body extends TSchema | undefined = undefined,
  Query extends TSchema | undefined = undefined,
  Params extends TSchema | undefined = undefined,
>(server: FastifyInstance, { path, ...described }: Described<Body, Query, Params>): void {
  const shared = { tag: 'mlflow', url: `/api/2.0/mlflow/${path}`, answer: AnyObject };
  route(server, { ...described, ...shared } as unknown as Route<Body, Query, Params>);
}
