import { Agent, request } from 'node:http';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { seededRandom } from '../examples/returns/simulator.ts';
import { type Started, startProduct } from './browser.ts';
import { type FuzzCase, fuzzCases, type OpenApi } from './fuzz-cases.ts';

/** Another seed asks other cases: `FUZZ_SEED=2 FUZZ_CASES=1000 vitest run test/fuzz.test.ts` asks all of them. */
const SEED = Number(process.env.FUZZ_SEED ?? 1);
/** Of each operation: about 3,000 requests in all. */
const CASES = Number(process.env.FUZZ_CASES ?? 12);
/** What is documented as an answer of a server that is well: not supported, another server's fault, none there, too late. */
const DOCUMENTED = [501, 502, 503, 504];
/** Operations that would end the session of the test, or do not end by themselves. */
const LEFT_OUT = /logout|\/login|\/stream\b/;
const ANSWER_MS = 20_000;

let product: Started;
const agent = new Agent({ keepAlive: true });
beforeAll(async () => {
  product = await startProduct({ AIOS_SIMULATION_PER_SECOND: '0' });
}, 120_000);
afterAll(async () => {
  agent.destroy();
  await product?.stop();
});

it('no request is answered as a fault of the server, whatever it holds', async () => {
  const document = await product.api<OpenApi>('/api/v1/openapi.json');
  const random = seededRandom(SEED);
  const faults: string[] = [];
  let asked = 0;
  for (const cases of fuzzCases(document)) {
    for (const fuzzCase of drawn(cases, random)) {
      if (LEFT_OUT.test(fuzzCase.path)) continue;
      asked++;
      const { status, text } = await answerOf(fuzzCase);
      if (status < 500 || (DOCUMENTED.includes(status) && !/"internal"/.test(text))) continue;
      faults.push(
        `${fuzzCase.method} ${fuzzCase.path.slice(0, 100)} (${fuzzCase.label}): ${status} ${text.slice(0, 300)}`,
      );
    }
  }
  expect(faults).toEqual([]);
  expect(asked).toBeGreaterThan(1000);
  expect((await answerOf({ ...HEALTH })).status).toBe(200);
}, 300_000);

const HEALTH: FuzzCase = {
  method: 'GET',
  path: '/api/v1/runs',
  contentType: 'application/json',
  body: undefined,
  label: 'a good one',
};

/** As many of the cases as are wanted, by chance, in the order of chance. */
function drawn(cases: readonly FuzzCase[], random: () => number): FuzzCase[] {
  const left = [...cases];
  const taken: FuzzCase[] = [];
  while (left.length > 0 && taken.length < CASES)
    taken.push(...left.splice(Math.floor(random() * left.length), 1));
  return taken;
}

function answerOf({ method, path, contentType, body }: FuzzCase): Promise<{ status: number; text: string }> {
  return new Promise((resolve) => {
    const lost = (error: Error) => resolve({ status: 599, text: `no answer: ${error.message}` });
    const sent = request(
      `${product.url}${path}`,
      {
        agent,
        method,
        signal: AbortSignal.timeout(ANSWER_MS),
        headers: {
          authorization: `Bearer ${product.key}`,
          // Without its length, the body of a DELETE would be sent as if it were the next request.
          ...(body === undefined
            ? {}
            : { 'content-type': contentType, 'content-length': Buffer.byteLength(body) }),
        },
      },
      (answer) => {
        const status = answer.statusCode ?? 599;
        if (answer.headers['content-type']?.includes('event-stream')) {
          answer.destroy();
          resolve({ status, text: '' });
          return;
        }
        let text = '';
        answer
          .setEncoding('utf8')
          .on('data', (part: string) => {
            if (text.length < 10_000) text += part;
          })
          .once('end', () => resolve({ status, text }))
          .once('error', lost);
      },
    );
    sent.once('error', lost);
    sent.end(body);
  });
}
