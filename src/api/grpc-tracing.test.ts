import { Metadata, status } from '@grpc/grpc-js';
import { InMemorySpanExporter, SimpleSpanProcessor } from '@opentelemetry/sdk-trace';
import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest';
import { setSampleRatio } from '../telemetry/sampling.ts';
import { startTelemetry } from '../telemetry/telemetry.ts';
import { keyOf, openGrpcUnderTest } from './grpc-door-under-test.ts';

const TRACE = '0af7651916cd43dd8448eb211c80319c';
const CALLER = 'b7ad6b7169203331';
const ERROR = 2;

describe('the trace of a call by gRPC', () => {
  const exporter = new InMemorySpanExporter();
  // Once: a tracer stays with the provider that it met first.
  const telemetry = startTelemetry('test', [new SimpleSpanProcessor({ exporter })]);
  afterAll(() => telemetry.stop());
  let door: Awaited<ReturnType<typeof openGrpcUnderTest>>;
  beforeEach(async () => {
    setSampleRatio(0);
    door = await openGrpcUnderTest();
    exporter.reset();
  });
  afterEach(() => door.close());

  const good = {
    model_name: 'echo-fp32',
    inputs: [{ name: 'x', datatype: 'FP32', shape: [1, 2] }],
    raw_input_contents: [Buffer.alloc(8)],
  };
  const from = (flags: string, metadata = keyOf()) => {
    metadata.set('traceparent', `00-${TRACE}-${CALLER}-${flags}`);
    metadata.set('tracestate', 'vendor=1');
    metadata.set('x-request-id', 'mine');
    return metadata;
  };
  const OF_SERVING = 'serving.infer';
  /** Those of the door. */
  const spans = () => {
    const finished = exporter.getFinishedSpans().filter(({ name }) => name !== OF_SERVING);
    return finished.map((span) => ({
      name: span.name,
      attributes: span.attributes,
      failed: span.status.code === ERROR,
      traceId: span.spanContext().traceId,
      state: span.spanContext().traceState?.serialize(),
      parent: span.parentSpanContext?.spanId,
    }));
  };
  const named = (method: string, code: number) => ({
    name: `inference.GRPCInferenceService/${method}`,
    attributes: {
      'rpc.system': 'grpc',
      'rpc.service': 'inference.GRPCInferenceService',
      'rpc.method': method,
      'rpc.grpc.status_code': code,
      'rpc.grpc.response.metadata.x-request-id': ['mine'],
    },
  });
  const ofCaller = { traceId: TRACE, parent: CALLER, state: 'vendor=1' };

  it('goes on with that of the caller, if the caller records it', async () => {
    await door.call('ModelInfer', good, from('01'));
    await door.call('ModelInfer', good, from('00'));
    await door.call('ModelInfer', good);
    expect(spans()).toEqual([{ ...named('ModelInfer', 0), ...ofCaller, failed: false }]);
  });

  it('is around what is done for the call', async () => {
    await door.call('ModelInfer', good, from('01'));
    const [inner, outer] = exporter.getFinishedSpans();
    expect(inner).toMatchObject({
      name: OF_SERVING,
      parentSpanContext: { spanId: outer?.spanContext().spanId },
    });
  });

  it('is drawn by the ratio where the caller has none', async () => {
    setSampleRatio(1);
    const metadata = keyOf();
    metadata.set('x-request-id', 'mine');
    await door.call('ModelInfer', good, metadata);
    await door.call('ServerLive', {}, metadata);
    expect(spans()).toMatchObject([named('ModelInfer', 0), named('ServerLive', 0)]);
    expect(new Set(spans().map(({ traceId }) => traceId)).size).toBe(2);
  });

  it.each([
    ['a caller without a key', good, new Metadata(), status.UNAUTHENTICATED, false],
    ['an unknown model', { ...good, model_name: 'none' }, keyOf(), status.NOT_FOUND, false],
    [
      'a model that does not answer in time',
      { ...good, model_name: 'never', raw_input_contents: [Buffer.alloc(8, 1)] },
      keyOf(),
      status.DEADLINE_EXCEEDED,
      true,
    ],
  ])('tells the status of %s', async (_, request, metadata, code, failed) => {
    const parameters = { timeout: { int64_param: 50_000 } };
    const refused = door.call('ModelInfer', { ...request, parameters }, from('01', metadata));
    await expect(refused).rejects.toMatchObject({ code });
    expect(spans()).toEqual([{ ...named('ModelInfer', code), ...ofCaller, failed }]);
  });

  it('has a span for each message of a stream, with the outcome of that message', async () => {
    const stream = door.stream(from('01'));
    const ended = new Promise((done) => stream.on('end', done));
    stream.on('data', () => {});
    stream.write(good);
    stream.write({ ...good, model_name: 'none' });
    stream.end();
    await ended;
    expect(spans()).toEqual([
      { ...named('ModelStreamInfer', 0), ...ofCaller, failed: false },
      { ...named('ModelStreamInfer', status.NOT_FOUND), ...ofCaller, failed: false },
    ]);
  });
});
