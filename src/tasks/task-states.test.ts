import fc from 'fast-check';
import { expect, it } from 'vitest';
import { applyChange, type ChangeItem, type TaskState } from './task-states.ts';

const people = ['ann', 'bob', 'cleo'].map((id) => ({ id, name: id.toUpperCase() }));
const DEADLINE_MS = 60;
const fresh = (): TaskState => ({
  status: 'open',
  priority: 50,
  context_digest: 'shown',
  deadline_at: DEADLINE_MS,
  follow_up_at: null,
  added_groups: [],
  added_roles: [],
  owner_id: null,
  owner_name: null,
  escalation_level: 0,
  next_escalation_at: 10,
  claimed_by: null,
  claimed_name: null,
  claimed_at: null,
  decided_by: null,
  decided_name: null,
  ended_at: null,
  result: null,
  minutes: null,
});

const person = fc.constantFrom(...people);
const digest = fc.constantFrom('shown', 'shown', 'shown', 'other');
const action: fc.Arbitrary<object> = fc.oneof(
  fc.record({ action: fc.constant('claim'), by: person }),
  fc.record({
    action: fc.constant('release'),
    by: person,
    from: fc.constantFrom(null, ...people.map(({ id }) => id)),
    anyone: fc.boolean(),
  }),
  fc.record({ action: fc.constant('delegate'), by: person, to: person }),
  fc.record({ action: fc.constant('hand-back'), by: person }),
  fc.record({ action: fc.constant('assign'), to: person }),
  fc.record({ action: fc.constant('prioritize'), priority: fc.integer({ min: 0, max: 100 }) }),
  fc.record({ action: fc.constant('follow-up'), by: person, followUpAtMs: fc.option(fc.nat(99)) }),
  fc.record({
    action: fc.constant('escalate'),
    level: fc.integer({ min: 1, max: 4 }),
    priority: fc.option(fc.integer({ min: 0, max: 100 }), { nil: undefined }),
    groups: fc.subarray(['a', 'b']),
    roles: fc.subarray(['r']),
    nextAtMs: fc.option(fc.nat(99), { nil: undefined }),
  }),
  fc.record({
    action: fc.constant('complete'),
    by: person,
    contextDigest: digest,
    result: fc.constant({ a: 1 }),
    minutes: fc.constant(1),
  }),
  fc.record({
    action: fc.constant('return'),
    by: person,
    contextDigest: digest,
    message: fc.constant('?'),
    minutes: fc.constant(1),
  }),
  fc.record({ action: fc.constantFrom('expired', 'canceled') }),
);
const ENDED = new Set(['completed', 'returned', 'expired', 'canceled']);

it('whatever people do in whatever order, a task stays whole, ends once, and a refusal changes nothing', () => {
  const ends = new Set<string>();
  fc.assert(
    fc.property(fc.array(action, { maxLength: 25 }), (actions) => {
      const state = fresh();
      for (const [index, drawn] of actions.entries()) {
        const before = structuredClone(state);
        const item = { id: 't', atMs: index * 3, ...drawn } as ChangeItem;
        const outcome = applyChange(state, item);
        if (outcome !== 'changed') expect(state).toEqual(before);
        if (ENDED.has(before.status)) expect(state).toEqual(before);
        expect(state.status === 'open').toBe(state.claimed_by === null && !ENDED.has(state.status));
        // Somebody is accountable for another only while that other has it, or had it at the end.
        if (state.owner_id !== null) {
          expect(state.claimed_by).not.toBeNull();
          expect(state.owner_id).not.toBe(state.claimed_by);
        }
        if (state.status === 'completed' || state.status === 'returned') {
          expect(state.decided_by).toBe(state.claimed_by);
          expect(state.ended_at).toBeLessThan(DEADLINE_MS);
        } else expect(state.decided_by).toBeNull();
        expect(state.escalation_level - before.escalation_level).toBeOneOf([0, 1]);
        if (ENDED.has(state.status)) ends.add(state.status);
        // The same again changes nothing more.
        const again = structuredClone(state);
        expect(applyChange(again, item)).not.toBe('changed');
        expect(again).toEqual(state);
      }
    }),
    { numRuns: 5_000 },
  );
  expect([...ends].sort()).toEqual([...ENDED].sort());
});
