import { execFile } from 'node:child_process';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runCases } from '../conformance/oip/case.ts';
import { REST_CASES } from '../conformance/oip/rest.ts';
import { Target } from '../conformance/oip/target.ts';
import { type InferenceUnderTest, openInferenceUnderTest } from '../src/api/inference-under-test.ts';

const run = promisify(execFile);
const headers = { authorization: 'Bearer all' };
const identityModels = 'identity-{datatype}';

describe('the conformance suite of the Open Inference Protocol', () => {
  let door: InferenceUnderTest;
  beforeAll(async () => {
    door = await openInferenceUnderTest();
  });
  afterAll(() => door.close());

  it.each([
    ['a model of two inputs', 'add-sub', { INPUT0: [1, 2, 3, 5, 8], INPUT1: [0.5, 4] }, ['rest.binary.raw']],
    ['a model of one input', 'identity-fp32', { INPUT0: [1, 2, 3] }, ['rest.binary.mixed']],
  ])('passes on our server for %s', async (_, model, inputs, notSupported) => {
    const target = new Target({ url: door.url, model, headers, inputs, identityModels, mayUnload: true });
    const outcomes = await runCases(target, REST_CASES);
    expect(outcomes.filter(({ outcome }) => outcome === 'fail')).toEqual([]);
    expect(outcomes.filter(({ outcome }) => outcome === 'not supported').map(({ id }) => id)).toEqual(
      notSupported,
    );
    expect(new Set(outcomes.map(({ id }) => id)).size).toBe(outcomes.length);
  });

  it('runs as a program, with a report and an exit code', async () => {
    const program = join(import.meta.dirname, '../conformance/oip/run.ts');
    const call = (...more: string[]) =>
      run(process.execPath, [program, '--url', door.url, '--header', 'authorization: Bearer all', ...more]);
    const { stdout } = await call('--model', 'add-sub', '--only', 'rest.infer.', '--json');
    expect(JSON.parse(stdout)).toMatchObject({ pass: expect.any(Number), fail: 0 });
    const failed = call('--model', 'none', '--only', 'rest.model-metadata.');
    await expect(failed).rejects.toMatchObject({ code: 1, stdout: expect.stringContaining('FAIL') });
    await expect(run(process.execPath, [program])).rejects.toMatchObject({ code: 2 });
  });
});

/** A server that answers, and answers wrong: each way must be found by the case that is made for it. */
describe('the conformance suite finds', () => {
  const tensor = { name: 'x', datatype: 'FP32', shape: [-1, 2] };
  const metadata = {
    name: 'm',
    versions: ['1'],
    platform: 'p',
    inputs: [tensor],
    outputs: [{ ...tensor, name: 'y' }],
  };
  const output = { ...metadata.outputs[0], shape: [1, 2], data: [0, 0] };
  const fine = { model_name: 'm', model_version: '1', outputs: [output] };
  let server: Server | undefined;
  afterAll(() => server?.close());

  async function serve(infer: object, status = 200, extensions: string[] = []): Promise<Target> {
    const listener: RequestListener = (request, response) => {
      request.resume().on('end', () => {
        const body =
          request.url === '/v2'
            ? { name: 's', version: '1', extensions }
            : request.method === 'GET'
              ? metadata
              : infer;
        response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
      });
    };
    server?.close();
    server = createServer(listener).listen(0, '127.0.0.1');
    await new Promise((resolve) => server!.once('listening', resolve));
    return new Target({ url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, model: 'm' });
  }

  it.each<[string, object, number, string]>([
    ['an answer that is none', {}, 200, 'rest.infer.flat-data'],
    ['an id that is lost', fine, 200, 'rest.infer.id'],
    ['rows that are lost', fine, 200, 'rest.infer.batch'],
    ['an output that is missing', { ...fine, outputs: [] }, 200, 'rest.infer.all-outputs'],
    [
      'an output of another datatype',
      { ...fine, outputs: [{ ...output, datatype: 'FP64' }] },
      200,
      'rest.infer.output-datatypes',
    ],
    [
      'an output of another size',
      { ...fine, outputs: [{ ...output, data: [0] }] },
      200,
      'rest.infer.output-shapes',
    ],
    ['another model’s name', { ...fine, model_name: 'n' }, 200, 'rest.infer.model-name'],
    ['errors that are answered', fine, 200, 'rest.infer-error.missing-input'],
    ['an error without a text', { detail: 'no' }, 400, 'rest.infer-error.missing-input'],
    ['faults of its own', { error: 'no' }, 500, 'rest.infer-error.missing-input'],
  ])('%s', async (_, infer, status, id) => {
    const target = await serve(infer, status);
    const [outcome] = await runCases(
      target,
      REST_CASES.filter((each) => each.id === id),
    );
    expect(outcome).toMatchObject({ id, outcome: 'fail' });
  });

  it('what a server does not list as not supported', async () => {
    const binary = REST_CASES.filter(({ extension }) => extension === 'binary_tensor_data');
    const outcomes = await runCases(await serve(fine), binary);
    expect(new Set(outcomes.map(({ outcome }) => outcome))).toEqual(new Set(['not supported']));
    const listed = await serve(fine, 200, ['binary_tensor_data']);
    const found = await runCases(
      listed,
      binary.filter(({ id }) => id === 'rest.binary.all-outputs'),
    );
    expect(found).toMatchObject([{ outcome: 'fail', detail: 'outputs came as json' }]);
  });
});
