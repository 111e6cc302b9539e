import { expect, it, vi } from 'vitest';
import type { Json } from '../../kernel/json.ts';
import { fixedOf } from '../catalog/outgoing.ts';
import type { CallPrimitive, StepContext } from '../catalog/primitive.ts';
import { LiveBranch } from './branch.ts';
import { LiveMessages } from './message-stream.ts';
import { Recorder } from './recorder.ts';
import type { Entry } from './stored-run.ts';

/** A subscription of the step `s` whose messages the test sends. */
function subscription(earlier: Entry[] = []) {
  let send: (message: Json) => void = () => {};
  let fail: (error: Error) => void = () => {};
  let opened = 0;
  const primitive: CallPrimitive = {
    name: 'subscribe',
    version: 1,
    kind: 'costly',
    inputSchema: {},
    run: (input, { signal }) =>
      new Promise((done, refuse) => {
        opened++;
        send = (message) => void fixedOf(input).sink!(message);
        fail = refuse;
        signal.addEventListener('abort', () => done({ output: null }));
      }),
  };
  const run = { recorder: new Recorder(earlier, () => {}), running: 0, holding: false };
  const branch = new LiveBranch(undefined);
  const call = { primitive, input: {}, context: {} as StepContext };
  const stream = new LiveMessages(run, 's', call, branch, () => 0);
  return {
    run,
    branch,
    stream,
    send: (m: Json) => send(m),
    fail: (e: Error) => fail(e),
    opened: () => opened,
  };
}

it('records each message when its turn comes; the others wait for theirs', async () => {
  const { run, stream, send } = subscription();
  const first = stream.next(0);
  send('a');
  send('b');
  expect(await first).toBe('a');
  expect(run.recorder.unwritten.entries.map(({ k, o }) => [k, o])).toEqual([['s^e0', 'a']]);
  expect(run.running).toBe(1);
  expect(await stream.next(1)).toBe('b');
  stream.close();
  await vi.waitFor(() => expect(run.running).toBe(0));
});

it('subscribes anew only for what no earlier life took', async () => {
  const { stream, send, opened } = subscription([{ k: 's^e0', s: 0, d: 0, o: 'a' }]);
  expect(await stream.next(0)).toBe('a');
  expect(opened()).toBe(0);
  const next = stream.next(1);
  send('c');
  expect([await next, opened()]).toEqual(['c', 1]);
});

it('tells of its end, and of its failure, after what came before; both are recorded', async () => {
  const { run, stream, send, fail } = subscription();
  const first = stream.next(0);
  send('a');
  fail(new Error('lost'));
  expect(await first).toBe('a');
  await expect(stream.next(1)).rejects.toThrow('lost');
  const again = subscription(run.recorder.unwritten.entries);
  expect(await again.stream.next(0)).toBe('a');
  await expect(again.stream.next(1)).rejects.toThrow('lost');
  expect(again.opened()).toBe(0);
  const over = subscription([{ k: 's^e0', s: 0, d: 0, c: 'over' }]);
  expect(await over.stream.next(0)).toBeUndefined();
});

it('gives up with its branch, and takes nothing more once the run is put away', async () => {
  const given = subscription();
  const next = given.stream.next(0);
  given.branch.abandon();
  await expect(next).rejects.toThrow();
  const held = subscription();
  const never = held.stream.next(0);
  Object.assign(held.run, { holding: true });
  held.send('a');
  held.stream.close();
  const settled = await Promise.race([
    never.then(() => 'taken'),
    new Promise((done) => setTimeout(done, 20, 'held')),
  ]);
  expect(settled).toBe('held');
  expect(held.run.recorder.unwritten.entries).toEqual([]);
});
