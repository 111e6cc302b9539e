import { describe, expect, it } from 'vitest';
import { outputOf, reaches, until, type World } from './engine-conformance-world.ts';

/** 200 kB of JSON. */
const BIG = { text: 'ä'.repeat(100_000) };

/** Values that lie apart are what they were: for the flow, for one that takes it over, for those who look. */
export function payloadTests(world: () => World): void {
  describe('with large values', () => {
    it('goes on from them when another process takes the run over', async () => {
      world().define(
        'big',
        `
do:
  - look: { call: count:1@default, with: { name: look, value: '\${ input.big }' } }
  - act: { call: act:1@default, with: { name: act, gate: act } }
  - same: { call: count:1@default, with: { name: same, value: '\${ workflow.input.big }' }, output: { as: output.value.text } }`,
      );
      const one = await world().engine();
      const { runId } = await one.engine.start({ workflow: 'big', input: { big: BIG } });
      await until(() => world().times('act:act') === 1);
      await world().kill(one);
      world().gate('act').open();
      const two = await world().engine();
      const ended = await reaches(two.engine, runId, 'completed');
      expect(outputOf(ended)).toBe(BIG.text);
      expect(world().times('count:look')).toBe(1);
      const { origin, result } = await two.engine.runs.get(runId);
      expect(origin.input).toEqual({ big: BIG });
      expect(result?.output).toBe(BIG.text);
    });

    it('replays a recorded one to the step after it', async () => {
      world().define(
        'kept',
        `
do:
  - look: { call: count:1@default, with: { name: look, value: '\${ input.big }' }, export: { as: output.value.text } }
  - ask: { call: ask:1@default }
  - end: { set: '\${ context }' }`,
      );
      const one = await world().engine();
      const { runId } = await one.engine.run({ workflow: 'kept', input: { big: BIG } }, 5_000);
      await one.engine.runs.get(runId);
      const store = world().fixture.open();
      await store.commit.commit([one.engine.signal({ runId, stepKey: 'ask', payload: { answer: BIG } })]);
      expect(outputOf(await reaches(one.engine, runId, 'completed'))).toBe(BIG.text);
      expect(world().times('count:look')).toBe(1);
      const steps = (await one.engine.runs.get(runId)).steps;
      const look = steps.find(({ key }) => key === 'look')!;
      const value = look.outputRef
        ? await one.engine.runs.payload(runId, look.outputRef.digest)
        : look.output;
      expect(value).toEqual({ value: BIG });
    });

    it('comes back from a child and from a signal as it was', async () => {
      world().define('child', `do: [ { look: { call: count:1@default, with: { value: '\${ input }' } } } ]`);
      world().define(
        'parent',
        `
do:
  - run: { run: { workflow: { namespace: test, name: child, version: '1.0.0', input: '\${ input }' } } }
  - end: { set: '\${ input.value.text }' }`,
      );
      const { engine } = await world().engine();
      const { runId } = await engine.run({ workflow: 'parent', input: BIG }, 5_000);
      expect(outputOf(await reaches(engine, runId, 'completed'))).toBe(BIG.text);
    });
  });
}
