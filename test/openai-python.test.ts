import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { OpenAiServer } from '../src/testing/openai-server.ts';
import { pythonEnvironment, runPython } from '../src/testing/python.ts';
import { type Aios, openAios } from './openai-under-test.ts';

const python = await pythonEnvironment(['openai==3.54.0']);

describe.skipIf(!python)(
  `the stock Python client of OpenAI${python ? '' : ' (skipped: no python3 here, or no PyPI)'}`,
  () => {
    let upstream: OpenAiServer;
    let aios: Aios;
    beforeAll(async () => {
      upstream = await OpenAiServer.start();
      aios = await openAios();
      await aios.register('assistant', { url: upstream.url, model: 'echo' });
      await aios.register('vectors', { url: upstream.url, model: 'vectors', task: 'embeddings' });
    });
    afterAll(async () => {
      await aios?.stop();
      await upstream?.stop();
    });

    it('works unchanged', async () => {
      const script = join(import.meta.dirname, 'clients', 'openai_client.py');
      expect(await runPython(python!, script, aios.baseURL, aios.apiKey)).toEqual({
        content: 'Echo: Hello there',
        tokens: 3,
        streamed: 'Echo: Hello there',
        streamedTokens: 3,
        tools: ['a', 'b'],
        unstructured: [502, 'chat.output_invalid'],
        response: 'Echo: Hello there',
        responseStreamed: ['Echo: ', 'Hello ', 'there'],
        responseTokens: 3,
        dimensions: [8, 8],
        same: true,
        models: ['assistant', 'assistant@champion', 'vectors', 'vectors@champion'],
        retrieved: 'assistant',
        unknown: [404, 'models.unknown_model'],
        unauthenticated: 401,
        left: 'assistant',
      });
    });
  },
);
