import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type OpenedApp, openApp } from './app-under-test.ts';

describe('what is not base64', () => {
  let opened: OpenedApp;
  beforeAll(async () => {
    opened = await openApp();
  });
  afterAll(() => opened.close());

  const post = async (path: string, body: unknown) => {
    const { url, adminKey } = opened.app;
    const headers = { authorization: `Bearer ${adminKey}`, 'content-type': 'application/json' };
    const answer = await fetch(url + path, { method: 'POST', headers, body: JSON.stringify(body) });
    return [answer.status, await answer.json()];
  };

  it.each([
    ['/api/v1/models/risk/versions', (text: string) => ({ onnxBase64: text }), '/onnxBase64'],
    [
      '/api/v1/apply',
      (base64: string) => ({
        files: [
          { path: 'a.yaml', text: '' },
          { path: 'b.onnx', base64 },
        ],
      }),
      '/files/1/base64',
    ],
  ])('is said to be none, by its place: %s', async (path, bodyOf, place) => {
    for (const text of ['not base64', 'AAA', 'data:application/octet-stream;base64,AAAA', 'AA==\n', 'ab-_'])
      expect(await post(path, bodyOf(text))).toMatchObject([
        400,
        { code: 'request.invalid', issues: [{ path: place, message: 'not base64' }] },
      ]);
  });

  it('is told apart from bytes that are no model', async () => {
    expect(await post('/api/v1/models/risk/versions', { onnxBase64: 'bm8gbW9kZWw=' })).toMatchObject([
      422,
      { code: 'models.not_onnx' },
    ]);
  });
});
