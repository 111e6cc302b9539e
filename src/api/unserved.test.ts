import { type Metadata, status } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { serverMetadata } from '../serving/protocol/open-inference.ts';
import { UNSERVED_METHODS } from '../serving/protocol/unserved.ts';
import { keyOf, openGrpcUnderTest } from './grpc-door-under-test.ts';
import { type InferenceUnderTest, openInferenceUnderTest } from './inference-under-test.ts';

const CODE = 'serving.extension_unserved';

describe('an extension of the protocol that is not served', () => {
  let grpc: Awaited<ReturnType<typeof openGrpcUnderTest>>;
  let http: InferenceUnderTest;
  beforeAll(async () => {
    [grpc, http] = await Promise.all([openGrpcUnderTest(), openInferenceUnderTest()]);
  });
  afterAll(() => Promise.all([grpc.close(), http.close()]));

  it.each(UNSERVED_METHODS)('is told by gRPC, with what to do instead: %s', async (method, extension) => {
    const error = await grpc.call(method, {}, keyOf()).then(
      () => expect.unreachable(),
      (thrown: { code: number; details: string; metadata: Metadata }) => thrown,
    );
    expect(error.code).toBe(status.UNIMPLEMENTED);
    expect(error.metadata.get('aios-code')).toEqual([CODE]);
    expect(error.details).toMatch(new RegExp(`^${CODE}: The extension ${extension} is not served: .+`));
  });

  it.each([
    ['GET', '/v2/trace/setting', 'AIOS_TRACE_RATIO'],
    ['POST', '/v2/models/add-sub/trace/setting', 'OTEL_EXPORTER_OTLP_ENDPOINT'],
    ['POST', '/v2/logging', 'AIOS_LOG'],
    ['GET', '/v2/systemsharedmemory/status', 'binary_tensor_data'],
    ['POST', '/v2/systemsharedmemory/region/a/register', 'binary_tensor_data'],
    ['POST', '/v2/cudasharedmemory/unregister', 'binary_tensor_data'],
    ['POST', '/v2/models/add-sub/generate', '/v1/chat/completions'],
    ['POST', '/v2/models/add-sub/versions/1/generate_stream', '/v1/chat/completions'],
  ])('is told by HTTP, where clients look for it: %s %s', async (method, path, instead) => {
    const isPost = method === 'POST';
    // Bytes without a content type, as the stock clients send them.
    const body = isPost ? new TextEncoder().encode('{"key":') : null;
    const response = await fetch(http.url + path, { method, body });
    const problem = (await response.json()) as Record<string, string>;
    expect([response.status, problem.code]).toEqual([501, CODE]);
    expect(problem.error).toContain(instead);
  });

  it('is not among the extensions that the server names', () => {
    const { extensions } = serverMetadata('1');
    for (const [, extension] of UNSERVED_METHODS) expect(extensions).not.toContain(extension);
  });
});
