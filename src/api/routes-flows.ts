import type { FastifyInstance } from 'fastify';
import { Type } from 'typebox';
import type { WorkflowEngine } from '../workflow/engine/engine.ts';
import { route } from './routes.ts';
import { AnyObject, NameParams, VersionNumber } from './shapes.ts';

interface FlowDependencies {
  engine: Pick<WorkflowEngine, 'runs'>;
}

/** Flows as pictures. */
export function flowRoutes({ engine }: FlowDependencies): (server: FastifyInstance) => void {
  return (server) => {
    route(server, {
      method: 'GET',
      url: '/api/v1/workflows/:name/graph',
      permission: 'definitions.read',
      summary:
        'A version of a flow (default: the newest) as nodes and edges, or as the text of a Mermaid flowchart',
      tag: 'definitions',
      params: NameParams,
      query: Type.Object({
        format: Type.Optional(Type.String({ enum: ['json', 'mermaid'] })),
        version: Type.Optional(VersionNumber),
      }),
      answer: Type.Object({
        nodes: Type.Optional(Type.Array(AnyObject)),
        edges: Type.Optional(Type.Array(AnyObject)),
        mermaid: Type.Optional(Type.String()),
      }),
      handle: async ({ params, query }) => {
        const { graph, mermaid } = await engine.runs.graph(params.name, query.version);
        return query.format === 'mermaid' ? { mermaid } : graph;
      },
    });
  };
}
