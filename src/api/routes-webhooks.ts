import type { FastifyInstance } from 'fastify';
import { Type } from 'typebox';
import type { Webhook, WebhookDelivery } from '../events/webhooks/webhook-store.ts';
import type { Webhooks } from '../events/webhooks/webhooks.ts';
import { actorOf, route } from './routes.ts';
import { AnyObject, IdParams, iso, isoOrUndefined, pageOf, pageQuery } from './shapes.ts';

interface Dependencies {
  webhooks: Webhooks;
}

const moment = Type.String({ format: 'date-time' });
const Types = Type.Array(Type.String({ minLength: 1 }), {
  minItems: 1,
  description: 'Event types; all when left out',
});
const Filter = Type.String({ description: 'CEL over the attributes of the event and its data' });
const Wanted = {
  description: Type.Optional(Type.String({ maxLength: 1000 })),
  types: Type.Optional(Types),
  filter: Type.Optional(Filter),
};
const View = Type.Object({
  id: Type.String(),
  url: Type.String(),
  description: Type.String(),
  types: Type.Optional(Type.Array(Type.String())),
  filter: Type.Optional(Type.String()),
  status: Type.String({ enum: ['active', 'disabled'] }),
  disabledReason: Type.Optional(Type.String()),
  failingSince: Type.Optional(moment),
  createdAt: moment,
  updatedAt: moment,
});
const WithSecret = Type.Object({
  ...View.properties,
  secret: Type.Optional(Type.String({ description: 'Shown once: whsec_…' })),
});
const Delivery = Type.Object({
  id: Type.String({ description: 'The webhook-id of the message' }),
  event: AnyObject,
  status: Type.String({ enum: ['retrying', 'delivered', 'failed'] }),
  attempts: Type.Integer(),
  response: Type.Optional(Type.Integer({ description: 'The HTTP status of the last answer' })),
  detail: Type.String(),
  nextAt: Type.Optional(moment),
  firstAt: moment,
  lastAt: moment,
});
const tag = 'webhooks';

/** Outgoing webhooks. What people do with them is in the audit log, in the transaction that does it. */
export function webhookRoutes({ webhooks }: Dependencies): (server: FastifyInstance) => void {
  return (server) => {
    writeRoutes(server, webhooks);
    changeRoute(server, webhooks);
    deliveryRoutes(server, webhooks);
    route(server, {
      method: 'GET',
      url: '/api/v1/webhooks',
      permission: 'events.read',
      summary: 'Webhooks, with their problems',
      tag,
      answer: pageOf(View),
      // As many as people have made: no page is cut.
      handle: async () => ({ items: (await webhooks.list()).map(toJson), nextCursor: null }),
    });
    route(server, {
      method: 'GET',
      url: '/api/v1/webhooks/:id',
      permission: 'events.read',
      summary: 'A webhook',
      tag,
      params: IdParams,
      answer: View,
      handle: async ({ params: { id } }) => toJson(await webhooks.get(id)),
    });
  };
}

function writeRoutes(server: FastifyInstance, webhooks: Webhooks): void {
  const permission = 'webhooks.manage';
  route(server, {
    method: 'POST',
    url: '/api/v1/webhooks',
    permission,
    summary:
      'Create a webhook: events are sent to an address from now on, signed as in Standard Webhooks; with `Idempotency-Key` created once',
    tag,
    body: Type.Object(
      {
        ...Wanted,
        url: Type.String(),
        secret: Type.Optional(Type.String({ description: 'whsec_…; generated when left out' })),
      },
      { additionalProperties: false },
    ),
    answer: WithSecret,
    status: 201,
    handle: async ({ body: { secret, ...wanted }, caller, request }) => {
      const key = request.headers['idempotency-key'];
      const idempotencyKey = typeof key === 'string' ? key : undefined;
      const created = await webhooks.create(wanted, actorOf(caller), { secret, idempotencyKey });
      return { ...toJson(created.webhook), secret: created.secret };
    },
  });
  route(server, {
    method: 'POST',
    url: '/api/v1/webhooks/:id/rotate',
    permission,
    summary: 'Rotate the secret of a webhook; for a day messages are also signed with the old one',
    tag,
    params: IdParams,
    answer: WithSecret,
    handle: async ({ params: { id }, caller }) => {
      const { webhook, secret } = await webhooks.rotate(id, actorOf(caller));
      return { ...toJson(webhook), secret };
    },
  });
  route(server, {
    method: 'DELETE',
    url: '/api/v1/webhooks/:id',
    permission,
    summary: 'Delete a webhook and its deliveries',
    tag,
    params: IdParams,
    handle: async ({ params: { id }, caller }) => {
      await webhooks.delete(id, actorOf(caller));
      return { id };
    },
  });
}

function changeRoute(server: FastifyInstance, webhooks: Webhooks): void {
  route(server, {
    method: 'PATCH',
    url: '/api/v1/webhooks/:id',
    permission: 'webhooks.manage',
    summary: 'Change, disable or enable a webhook; an enabled webhook continues with new events',
    tag,
    params: IdParams,
    body: Type.Object(
      {
        description: Wanted.description,
        types: Type.Optional(Type.Union([Types, Type.Null()], { description: 'Event types; null for all' })),
        filter: Type.Optional(Type.Union([Filter, Type.Null()], { description: 'CEL; null for none' })),
        url: Type.Optional(Type.String()),
        enabled: Type.Optional(Type.Boolean()),
      },
      { additionalProperties: false },
    ),
    answer: View,
    handle: async ({ params: { id }, body, caller }) =>
      toJson(await webhooks.update(id, body, actorOf(caller))),
  });
}

function deliveryRoutes(server: FastifyInstance, webhooks: Webhooks): void {
  route(server, {
    method: 'GET',
    url: '/api/v1/webhooks/:id/deliveries',
    permission: 'events.read',
    summary: 'Deliveries that did not succeed at the first attempt, most recently tried first',
    tag,
    params: IdParams,
    query: pageQuery({
      status: Type.Optional(Type.String({ enum: ['retrying', 'delivered', 'failed'] })),
    }),
    answer: pageOf(Delivery),
    handle: async ({ params: { id }, query: { status, cursor, limit = 50 } }) => {
      const { items, nextCursor } = await webhooks.deliveries(id, { status, after: cursor, limit });
      return { items: items.map(deliveryToJson), nextCursor };
    },
  });
  route(server, {
    method: 'POST',
    url: '/api/v1/webhooks/:id/deliveries/:delivery/retry',
    permission: 'webhooks.manage',
    summary: 'Retry a delivery now',
    tag,
    params: Type.Object({ id: Type.String({ minLength: 1 }), delivery: Type.String({ minLength: 1 }) }),
    handle: async ({ params: { id, delivery }, caller }) => {
      await webhooks.retry(id, delivery, actorOf(caller));
      return { id: delivery, status: 'retrying' };
    },
  });
}

function toJson({
  selection,
  secrets: _,
  disabledReason,
  failingSince,
  createdAt,
  updatedAt,
  ...webhook
}: Webhook) {
  return {
    ...webhook,
    ...selection,
    disabledReason: disabledReason ?? undefined,
    failingSince: isoOrUndefined(failingSince),
    createdAt: iso(createdAt),
    updatedAt: iso(updatedAt),
  };
}

function deliveryToJson({
  id,
  event,
  status,
  attempts,
  response,
  detail,
  nextAt,
  firstAt,
  lastAt,
}: WebhookDelivery) {
  return {
    ...{ id, event, status, attempts, detail },
    response: response ?? undefined,
    nextAt: isoOrUndefined(nextAt),
    firstAt: iso(firstAt),
    lastAt: iso(lastAt),
  };
}
