import { describe, expect, it } from 'vitest';
import { returnRequested } from './api-under-test.ts';
import { openedApi } from './opened-api-under-test.ts';

const DEEP = 20_000; // what overflows the stack in a few recursive functions
const nested = `${'{"a":'.repeat(DEEP)}1${'}'.repeat(DEEP)}`;

describe('JSON that is nested too deep', () => {
  const { api } = openedApi();
  const send = async (method: 'POST' | 'PUT', url: string, text: string, type = 'application/json') => {
    const headers = { authorization: `Bearer ${api.keys.operator}`, 'content-type': type };
    return api.server.inject({ method, url, headers, payload: text });
  };

  it.each([
    ['PUT', '/api/v1/contracts/deep', nested],
    ['PUT', '/api/v1/workflows/deep', nested],
    ['POST', '/api/v1/workflows/greet/runs', `{"input":${nested}}`],
    ['POST', '/schema-registry/subjects/x', `{"schemaType":"JSON","schema":${JSON.stringify(nested)}}`],
  ] as const)('is refused by %s %s with a code of its own', async (method, url, text) => {
    const response = await send(method, url, text);
    expect(response.statusCode).toBeLessThan(500);
    expect(response.body).toMatch(/too_deep|more than jsonDepthMax/);
    expect(api.faults).toEqual([]);
  });

  it('is refused in an event, alone in a batch', async () => {
    const event = returnRequested('deep');
    const deep = JSON.stringify(event).replace('"amount":30', `"amount":30,"more":${nested}`);
    const alone = await send('POST', '/api/v1/events', deep, 'application/cloudevents+json');
    expect([alone.statusCode, alone.json().code]).toEqual([400, 'request.too_deep']);
    const batch = `[${JSON.stringify(returnRequested('flat'))},${deep}]`;
    const answer = await send('POST', '/api/v1/events', batch, 'application/cloudevents-batch+json');
    expect(answer.json()).toMatchObject({
      accepted: 1,
      rejected: [{ index: 1, problem: { code: 'request.too_deep', limitName: 'jsonDepthMax', limit: 200 } }],
    });
    expect(api.faults).toEqual([]);
  });
});
