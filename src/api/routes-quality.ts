import { Readable } from 'node:stream';
import type { FastifyInstance } from 'fastify';
import { Type } from 'typebox';
import type { Clock } from '../kernel/clock.ts';
import { AiosError } from '../kernel/errors.ts';
import type { Label, Labels } from '../tasks/labels.ts';
import type { Period, QualityReader } from '../tasks/quality.ts';
import { type Caller, route } from './routes.ts';
import { AnyObject, iso, NameParams, pageOf, pageQuery } from './shapes.ts';

interface Dependencies {
  clock: Clock;
  quality: QualityReader;
  labels: Labels;
  /** Destroys what is kept of a person's data; answers whether there was any. */
  eraseSubject(subject: string, by: Caller): Promise<boolean>;
}

const Time = Type.String({ format: 'date-time' });
const PERIOD = {
  from: Type.Optional(Type.String({ format: 'date-time', description: '30 days before `to` when left out' })),
  to: Type.Optional(Type.String({ format: 'date-time', description: 'Now when left out' })),
};
const OrNull = (schema: ReturnType<typeof Type.Number>) => Type.Union([schema, Type.Null()]);
const KAPPA = {
  count: Type.Integer({ description: 'Cases' }),
  agreement: Type.Number({ description: 'Share of the cases, 0 to 1' }),
  kappa: OrNull(Type.Number({ description: 'Agreement beyond chance; null when chance alone gives all' })),
  standardError: Type.Union([Type.Number(), Type.Null()]),
  interval: Type.Union([Type.Array(Type.Number(), { description: '95 %: low, high' }), Type.Null()]),
};
const Comparison = Type.Object({
  ...KAPPA,
  rows: Type.String({ description: 'Who gave the answers in the rows of the table' }),
  columns: Type.String(),
  table: Type.Object({
    categories: Type.Array(Type.String()),
    counts: Type.Array(Type.Array(Type.Integer())),
    omitted: Type.Integer({
      description: 'Cases that are not in the table: it has the most frequent answers (qualityCategoriesMax)',
    }),
  }),
});
const Quality = Type.Object({
  queue: Type.String(),
  from: Time,
  to: Time,
  answers: Type.Integer(),
  complete: Type.Boolean({ description: 'False when only the newest answers were looked at' }),
  reviewers: Type.Object({
    method: Type.String({ enum: ['cohen', 'fleiss'] }),
    overall: Type.Object(KAPPA),
    pairs: Type.Array(Comparison),
    adjudicated: Type.Integer(),
  }),
  suggestion: Type.Object({
    blind: Type.Object(Comparison.properties, { description: 'By people who did not see the suggestion' }),
    shown: Type.Object(Comparison.properties, { description: 'By people who did' }),
  }),
  routes: Type.Array(
    Type.Object({
      band: Type.Integer(),
      route: Type.String(),
      cases: Type.Integer(),
      sampled: Type.Integer({ description: 'Of the automatic ones' }),
    }),
  ),
});
const LabelShape = Type.Object({
  id: Type.String(),
  queue: Type.String(),
  queueVersion: Type.Integer(),
  runId: Type.String(),
  at: Time,
  reviewer: Type.String({ description: 'A pseudonym: the same for the same person' }),
  role: Type.String(),
  form: Type.String(),
  blind: Type.Boolean(),
  shownDigest: Type.String(),
  confidence: Type.Union([Type.Number(), Type.Null()]),
  route: Type.Union([Type.String(), Type.Null()]),
  minutes: Type.Union([Type.Number(), Type.Null()]),
  madeWith: Type.Array(AnyObject),
  erased: Type.Boolean(),
  outcome: Type.Union([Type.String(), Type.Null()]),
  answer: Type.Unknown(),
  suggestion: Type.Unknown(),
  features: Type.Unknown(),
  shown: Type.Union([AnyObject, Type.Null()]),
});
const PERIOD_MS = 30 * 24 * 3_600_000;
const tag = 'quality';

/** How far the answers of people can be relied on, and what can be learned from them. */
export function qualityRoutes(dependencies: Dependencies): (server: FastifyInstance) => void {
  const { clock, quality, labels, eraseSubject } = dependencies;
  return (server) => {
    route(server, {
      method: 'GET',
      url: '/api/v1/queues/:name/quality',
      permission: 'quality.read',
      summary: 'How often the people of a queue agree with each other and with the suggestions',
      tag,
      params: NameParams,
      query: Type.Object(PERIOD, { additionalProperties: false }),
      answer: Quality,
      handle: async ({ params, query }) => {
        const period = periodOf(query, clock);
        const found = await quality.of(params.name, period);
        return { ...found, from: iso(period.fromMs), to: iso(period.toMs) };
      },
    });
    labelRoutes(server, labels, clock);
    route(server, {
      method: 'POST',
      url: '/api/v1/subjects/erase',
      permission: 'subjects.erase',
      summary:
        'Erase a person: data about them in tasks, the answers, and the key of their audit payloads; proofs stay valid',
      tag,
      body: Type.Object({ subject: Type.String({ minLength: 1 }) }, { additionalProperties: false }),
      answer: Type.Object({
        erased: Type.Boolean({ description: 'Whether anything was stored under their key' }),
      }),
      handle: async ({ body, caller }) => ({ erased: await eraseSubject(body.subject, caller) }),
    });
  };
}

function labelRoutes(server: FastifyInstance, labels: Labels, clock: Clock): void {
  route(server, {
    method: 'GET',
    url: '/api/v1/queues/:name/labels',
    permission: 'labels.export',
    summary: 'Answers as labelled examples, oldest first',
    tag,
    params: NameParams,
    query: pageQuery(PERIOD),
    answer: pageOf(LabelShape),
    handle: async ({ params, query }) => {
      const { cursor, limit = 50 } = query;
      const page = await labels.page(params.name, periodOf(query, clock), cursor, limit);
      return { ...page, items: page.items.map(labelToJson) };
    },
  });
  route(server, {
    method: 'GET',
    url: '/api/v1/queues/:name/labels.jsonl',
    permission: 'labels.export',
    summary: 'The same, complete, as JSON lines',
    tag,
    params: NameParams,
    query: Type.Object(PERIOD, { additionalProperties: false }),
    handle: async ({ params, query, reply }) => {
      const period = periodOf(query, clock);
      await labels.page(params.name, period, undefined, 1); // an error is told before the first line
      reply.header('content-type', 'application/jsonl; charset=utf-8');
      return reply.send(Readable.from(lines(labels.all(params.name, period))));
    },
  });
}

async function* lines(found: AsyncIterable<Label>): AsyncGenerator<string> {
  for await (const label of found) yield `${JSON.stringify(labelToJson(label))}\n`;
}

function labelToJson({ atMs, ...label }: Label) {
  return { ...label, at: iso(atMs) };
}

function periodOf({ from, to }: { from?: string; to?: string }, clock: Clock): Period {
  const toMs = to === undefined ? clock.now() : Date.parse(to);
  const fromMs = from === undefined ? toMs - PERIOD_MS : Date.parse(from);
  if (fromMs > toMs)
    throw new AiosError('request.invalid', { issues: [{ path: '/from', message: 'is after `to`' }] });
  return { fromMs, toMs };
}
