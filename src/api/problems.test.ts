import { describe, expect, it } from 'vitest';
import { ERRORS, type ErrorCode } from '../kernel/error-codes.ts';
import { errorType } from '../kernel/errors.ts';
import { openedApi } from './opened-api-under-test.ts';

describe('a request that does not fit', () => {
  const { api } = openedApi();
  const issues = async (method: 'GET' | 'POST', url: string, body?: object) =>
    (await api.request({ method, url, role: 'admin', body: body as never })).json().issues;

  it('is told which member nobody knows, which there are, and which was meant', async () => {
    expect(await issues('GET', '/api/v1/costs?groupby=day')).toEqual([
      {
        path: '/groupby',
        message: '“groupby” is not known here',
        expected: 'groupBy, since, until',
        meant: '“groupBy”',
      },
    ]);
  });

  it('is answered with a type that leads to what its code means, for programs and for people', async () => {
    const { type, code, title, hint, hintInConsole } = (
      await api.request({ url: '/api/v1/tasks/tsk_none', role: 'admin' })
    ).json();
    const row = await api.server.inject({ url: type }); // whoever has a problem in hand, without a key
    expect(row.json()).toEqual({
      ...{ type, code, title, hint, hintInConsole, status: 404, retryable: false },
      docs: 'docs/tasks.md',
    });
    const page = await api.server.inject({ url: type, headers: { accept: 'text/html,*/*' } });
    expect(page.headers['content-type']).toBe('text/html; charset=utf-8');
    expect(page.payload).toContain(`<h1>${title}</h1>`);
    expect(page.payload).toContain(`<dt>In the console</dt><dd>${hintInConsole}</dd>`);
    expect((await api.server.inject({ url: '/errors/tasks.unknwon' })).json()).toMatchObject({
      code: 'request.not_found',
      detail: 'There is no error “tasks.unknwon”; did you mean tasks.unknown?',
    });
    for (const known of Object.keys(ERRORS) as ErrorCode[])
      expect((await api.server.inject({ url: errorType(known) })).json()).toMatchObject({ code: known });
  });

  it('may say that its body is JSON and have none: it is missed where there must be one', async () => {
    const send = (url: string) =>
      api.server.inject({
        ...{ method: 'POST', url, payload: '' },
        headers: { authorization: `Bearer ${api.keys.admin}`, 'content-type': 'application/json' },
      });
    expect((await send('/api/v1/audit/verify')).statusCode).toBe(200);
    expect((await send('/api/v1/apply')).json()).toMatchObject({ status: 400, code: 'request.invalid' });
  });

  it('is told of 20 faults at most, however many there are', async () => {
    const files = Array.from({ length: 1000 }, () => ({ path: '' }));
    expect(await issues('POST', '/api/v1/apply', { files })).toHaveLength(20);
  });

  it('is told what is missing and which values there are', async () => {
    expect(await issues('POST', '/api/v1/apply', {})).toEqual([
      { path: '', message: 'files is required', expected: 'files' },
    ]);
    expect(await issues('GET', '/api/v1/costs?groupBy=dya')).toEqual([
      expect.objectContaining({
        path: '/groupBy',
        message: expect.stringContaining('must be one of service, resource'),
      }),
    ]);
  });

  it('may name no leap second, which no clock here has: it would be no time at all', async () => {
    const spine = (timestamp: string) => ({ views: ['none'], spine: [{ timestamp }] });
    const url = '/api/v1/features/historical';
    for (const at of ['2016-12-31T23:59:60Z', '2017-01-01T00:59:60.5+01:00'])
      expect(await issues('POST', url, spine(at))).toMatchObject([{ path: '/spine/0/timestamp' }]);
    const response = await api.request({
      method: 'POST',
      url,
      role: 'admin',
      body: spine('2016-12-31T23:59:59Z'),
    });
    expect(response.json().code).not.toBe('request.invalid');
  });

  it('is told what becomes of traces, by MLflow’s API and by OTLP', async () => {
    for (const url of ['/api/3.0/mlflow/traces', '/api/2.0/mlflow/traces?experiment_ids=1', '/v1/traces']) {
      const response = await api.request({ method: 'POST', url, role: 'admin', body: {} });
      expect([response.statusCode, response.payload]).toEqual([
        404,
        expect.stringContaining('experiments.no_traces'),
      ]);
    }
    const other = await api.request({ method: 'POST', url: '/v1/tracesets', role: 'admin', body: {} });
    expect(other.payload).not.toContain('experiments.no_traces');
  });
});
