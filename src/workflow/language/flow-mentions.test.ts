import { expect, it } from 'vitest';
import { flowMentions } from './flow-mentions.ts';

it('finds what a flow names, wherever it stands, and leaves out what an expression makes', () => {
  const primitive = (name: string, given: object) => ({ call: `${name}:1@default`, with: given });
  const mentions = flowMentions({
    schedule: { on: { any: [{ with: { type: 'order.placed' } }, { with: { source: 'urn:x' } }] } },
    use: { functions: { risk: primitive('infer', { model: 'risk' }) } },
    do: [
      {
        a: {
          try: [{ b: primitive('features', { service: 'vector', entity: {} }) }],
          catch: { do: [{ c: primitive('chat', { model: 'talk' }) }] },
        },
      },
      { d: { fork: { branches: [{ e: primitive('decide', { decision: 'table', input: { 'a/b': 1 } }) }] } } },
      {
        f: {
          for: { each: 'x' },
          do: [{ g: primitive('connector', { connector: 'shop', operation: 'refund', input: {} }) }],
        },
      },
      { h: { listen: { to: { one: { with: { type: 'order.paid' } } } } } },
      { i: { run: { workflow: { namespace: 'x', name: 'child', version: '1' } } } },
      { j: primitive('human-task', { queue: '${ context.queue }' }) },
      { k: { call: 'http', with: { model: 'none', endpoint: 'x' } } },
      { l: { set: { with: { model: 'none' } } } },
      { n: { emit: { event: { with: { source: 'urn:x', type: 'order.sent' } } } } },
      { m: { listen: { to: { all: [{ with: { type: 'io.serverlessworkflow.task.started.v1' } }] } } } },
    ],
  } as never);
  expect(
    mentions.map(({ kind, name, path, member }) => [
      kind,
      member ? `${name}.${member.join('.')}` : name,
      path,
    ]),
  ).toEqual([
    ['contract', 'order.placed', '/schedule/on/any/0/with/type'],
    ['feature-service', 'vector', '/do/0/a/try/0/b/with/service'],
    ['model', 'talk', '/do/0/a/catch/do/0/c/with/model'],
    ['decision', 'table', '/do/1/d/fork/branches/0/e/with/decision'],
    ['decision', 'table.inputs.a/b', '/do/1/d/fork/branches/0/e/with/input/a~1b'],
    ['connector', 'shop', '/do/2/f/do/0/g/with/connector'],
    ['connector', 'shop.operations.refund', '/do/2/f/do/0/g/with/operation'],
    ['contract', 'order.paid', '/do/3/h/listen/to/one/with/type'],
    ['workflow', 'child', '/do/4/i/run/workflow/name'],
    ['contract', 'order.sent', '/do/8/n/emit/event/with/type'],
    ['model', 'risk', '/use/functions/risk/with/model'],
  ]);
});
