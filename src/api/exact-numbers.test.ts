import { describe, expect, it } from 'vitest';
import { returnRequested } from './api-under-test.ts';
import { openedApi } from './opened-api-under-test.ts';

const LOST = '9007199254740993';

describe('A whole number that would lose digits', () => {
  const { api } = openedApi();
  const send = (method: 'POST' | 'PUT', url: string, payload: string, type = 'application/json') =>
    api.server.inject({
      ...{ method, url, payload },
      headers: { authorization: `Bearer ${api.keys.operator}`, 'content-type': type },
    });

  it.each([
    [
      '/api/v1/features/push',
      `{"source":"orders","rows":[{"customer":1},{"customer":${LOST}}]}`,
      '/rows/1/customer',
    ],
    ['/api/v1/workflows/greet/runs', `{"input":{"name":${LOST}}}`, '/input/name'],
  ])('is refused in the data that is posted to %s', async (url, text, path) => {
    const answer = await send('POST', url, text);
    expect([answer.statusCode, answer.json().code]).toEqual([400, 'request.inexact_number']);
    expect(answer.json().issues).toEqual([expect.objectContaining({ path, found: LOST })]);
  });

  it('is refused in an event, whose answer names it', async () => {
    const event = JSON.stringify(returnRequested('inexact')).replace('"amount":30', `"amount":${LOST}`);
    const answer = await send('POST', '/api/v1/events', event, 'application/cloudevents+json');
    expect([answer.statusCode, answer.json().code]).toEqual([400, 'request.inexact_number']);
    expect(answer.json().issues).toEqual([expect.objectContaining({ path: '/data/amount', found: LOST })]);
  });

  it('may be the bound of a schema, and stand in protocols of others', async () => {
    const schema = '{"type":"integer","maximum":9223372036854775807}';
    for (const [method, url, text] of [
      ['PUT', '/api/v1/contracts/large', `{"schema":${schema}}`],
      ['POST', '/api/v1/contracts/return.requested/compatibility', `{"schema":${schema}}`],
      ['POST', '/v1/chat/completions', `{"model":"none","seed":${LOST}}`],
    ] as const)
      expect((await send(method, url, text)).body).not.toContain('inexact');
  });
});
