import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { PromotionPolicy } from './promotion-policy.ts';
import type { Approver } from './promotions.ts';
import { BY, ProcessUnderTest, type Shared, setPolicy, share } from './rollouts-under-test.ts';

const person = (id: string, ...groups: string[]): Approver => ({
  kind: 'key',
  id,
  name: id,
  roles: ['reviewer'],
  groups,
});
const [ann, ben, cleo] = [person('ann', 'risk'), person('ben', 'risk'), person('cleo', 'sales')];

describe('the promotion of a version', () => {
  let shared: Shared;
  let process: ProcessUnderTest;
  let models = 0;
  let name: string;

  beforeAll(async () => {
    shared = await share();
    process = new ProcessUnderTest(shared);
  });
  afterAll(() => shared.database.close());

  /** A model with a policy; version 2 was registered by Ann. */
  const setUp = async (policy: PromotionPolicy): Promise<void> => {
    name = `model-${++models}`;
    await process.register(name, 'first');
    await process.models.promote({ name, alias: 'champion', version: 1, by: BY });
    await process.register(name, 'second', { auc: 0.8 }, { kind: 'key', id: ann.id });
    await setPolicy(shared, name, policy);
    shared.told.length = 0;
  };
  const target = () => ({ model: name, alias: 'champion', version: 2 });
  const promote = () => process.promotions.promote({ ...target(), by: BY });
  const decide = (by: Approver, decision: 'approve' | 'reject' = 'approve', reason?: string) =>
    process.promotions.decide(target(), { by, decision, reason });
  const champion = () => process.models.resolve(name).version;
  const actions = () => shared.told.map(({ action, by }) => `${action} ${by.id}`);

  it('needs nothing without a policy', async () => {
    await setUp({ approvals: 0 });
    expect(await promote()).toMatchObject({ isPromoted: true });
    expect(await promote()).toMatchObject({ isPromoted: true });
    expect(champion()).toBe(2);
    expect(actions()).toEqual([`model.promoted ${BY.id}`]);
  });

  it('waits for the approvals that its policy names, and comes with the last of them', async () => {
    await setUp({ approvals: 2, of: ['risk', 'operator'] });
    expect(await promote()).toMatchObject({ isPromoted: false, standing: { approvalsMissing: 2 } });
    expect(await promote()).toMatchObject({ isPromoted: false });
    expect(await process.promotions.waiting(name)).toMatchObject([
      { requestedBy: BY, standing: { version: 2 } },
    ]);
    await expect(decide(ann)).rejects.toMatchObject({ code: 'models.not_an_approver' }); // she registered it
    await expect(decide(cleo)).rejects.toMatchObject({ code: 'models.not_an_approver' });
    expect(await decide(ben)).toMatchObject({ isPromoted: false, standing: { approvalsMissing: 1 } });
    expect(await decide(ben)).toMatchObject({ standing: { approvalsMissing: 1 } }); // each counts once
    expect(champion()).toBe(1);
    expect(await decide({ ...cleo, roles: ['operator'] })).toMatchObject({ isPromoted: true });
    expect(champion()).toBe(2);
    expect(await process.promotions.waiting(name)).toEqual([]);
    expect(actions()).toEqual([
      `promotion-requested ${BY.id}`,
      'promotion-approved ben',
      'promotion-approved ben',
      'promotion-approved cleo',
      `model.promoted ${BY.id}`,
    ]);
  });

  it('does not count who started the training of what a flow registered', async () => {
    await setUp({ approvals: 1 });
    const version = await process.register(name, 'third', {}, { kind: 'workflow', id: 'learn' }, ben.id);
    expect(process.models.version(name, version)).toMatchObject({ createdBy: 'learn', startedBy: ben.id });
    const decided = (by: Approver) =>
      process.promotions.decide({ ...target(), version }, { by, decision: 'approve' });
    await expect(decided(ben)).rejects.toMatchObject({
      code: 'models.not_an_approver',
      message: expect.stringContaining('started the training'),
    });
    await process.promotions.promote({ ...target(), version, by: BY });
    expect(await decided(ann)).toMatchObject({ isPromoted: true });
  });

  it('counts whoever registered the version when the policy wants no four eyes', async () => {
    await setUp({ approvals: 1, fourEyes: false });
    await promote();
    expect(await decide(ann)).toMatchObject({ isPromoted: true });
  });

  it('is held by a rejection until it is taken back', async () => {
    await setUp({ approvals: 1 });
    await promote();
    await decide(cleo, 'reject', 'the card names no data');
    expect(await decide(ben)).toMatchObject({ isPromoted: false, standing: { approvalsMissing: 0 } });
    await expect(process.promotions.allow(name, 'champion', 2, null)).rejects.toThrow(/was rejected by cleo/);
    expect(await decide(cleo)).toMatchObject({ isPromoted: true });
  });

  it('needs the checks of its policy to be true, of the card and of what a rollout found', async () => {
    const found = 'rollout != null && rollout.comparison.agreement >= 0.9';
    await setUp({ approvals: 0, checks: ['card.auc >= 0.75', found, 'card.owner == "risk"'] });
    await expect(promote()).rejects.toThrow(
      /model-\d+\/2: rollout != null .*; card\.owner == "risk" \(.*owner.*\)/,
    );
    await setPolicy(shared, name, { approvals: 0, checks: ['card.auc >= 0.75', found] });
    const rollout = await process.rollouts.start({
      ...target(),
      challenger: 2,
      kind: 'shadow',
      by: BY,
    });
    await process.runner.start();
    const end = () => process.rollouts.promote(name, rollout.id, { by: BY });
    process.count(rollout.id, {}, { compared: 100, agreed: 80 });
    await process.runner.judge();
    await expect(end()).rejects.toMatchObject({ code: 'models.check_failed' });
    process.count(rollout.id, {}, { compared: 900, agreed: 890 });
    await process.runner.judge();
    await end();
    expect(champion()).toBe(2);
    await process.runner.stop();
  });

  it('is needed before a share of the traffic too, but not before a shadow', async () => {
    await setUp({ approvals: 1 });
    const start = (kind: 'canary' | 'shadow') =>
      process.rollouts.start({ ...target(), challenger: 2, kind, by: BY });
    await expect(start('canary')).rejects.toMatchObject({ code: 'models.approval_needed' });
    const shadow = await start('shadow');
    await process.rollouts.rollBack(name, shadow.id, { by: BY });
    await decide(ben);
    const canary = await start('canary');
    await process.rollouts.rollBack(name, canary.id, { by: BY });
    await expect(start('canary')).rejects.toThrow(/needs 1 more of 1 approvals/); // what was taken back is approved anew
  });

  it('is taken back in one call without approvals, which are void then', async () => {
    await setUp({ approvals: 1 });
    await promote();
    await decide(ben);
    expect(champion()).toBe(2);
    await process.promotions.rollBack({ ...target(), by: BY, reason: 'complaints' });
    await process.promotions.rollBack({ ...target(), by: BY }); // asked again
    expect(champion()).toBe(1);
    expect(shared.told.at(-1)).toMatchObject({ action: 'model.rolled-back', reason: 'complaints' });
    expect(await promote()).toMatchObject({ isPromoted: false });
    await expect(process.promotions.rollBack({ ...target(), version: 1, by: BY })).rejects.toMatchObject({
      code: 'models.nothing_to_roll_back',
    });
  });

  describe('of a version that takes other inputs', () => {
    const other = { name: 'z', datatype: 'FP32', shape: [-1, 1] } as const;
    const setUpOther = async (policy: PromotionPolicy) => {
      await setUp(policy);
      const { tensors } = process;
      process.tensors = { ...tensors, inputs: [other] };
      const version = await process.register(name, 'other inputs', {}, { kind: 'key', id: ann.id });
      process.tensors = tensors;
      return { ...target(), version };
    };
    const refusal = {
      code: 'models.signature_changed',
      message: expect.stringContaining('points at version 1, whose calls version 3 does not accept'),
      issues: [
        { path: '/inputs/z', message: 'callers do not send it' },
        { path: '/inputs/x', message: 'callers send it, and it is not taken' },
      ],
    };

    it('is refused, in the registry too, unless it is forced, which the audit log tells', async () => {
      const wanted = await setUpOther({ approvals: 0 });
      await expect(process.promotions.promote({ ...wanted, by: BY })).rejects.toMatchObject(refusal);
      await expect(process.models.promote({ name, ...wanted, by: BY })).rejects.toMatchObject(refusal);
      expect(champion()).toBe(1);
      await process.promotions.promote({ ...wanted, force: true, by: BY });
      expect(champion()).toBe(3);
      expect(shared.told.at(-1)).toMatchObject({ action: 'model.promoted', forced: true });
      await process.promotions.rollBack({ ...wanted, by: BY }); // back to what callers know
      expect(champion()).toBe(1);
      await process.promotions.promote({ ...target(), force: true, by: BY });
      expect(shared.told.at(-1)).not.toHaveProperty('forced'); // it fits: nothing was forced
    });

    it('is free where the alias means nothing yet', async () => {
      const wanted = await setUpOther({ approvals: 0 });
      await process.promotions.promote({ ...wanted, alias: 'beta', by: BY });
      expect(process.models.resolve(name, 'beta').version).toBe(3);
    });

    it('leaves no word for approvers unless it is forced, and tells them what does not fit', async () => {
      const wanted = await setUpOther({ approvals: 1 });
      await expect(process.promotions.promote({ ...wanted, by: BY })).rejects.toMatchObject(refusal);
      expect(await process.promotions.waiting(name)).toEqual([]);
      const forced = await process.promotions.promote({ ...wanted, force: true, by: BY });
      expect(forced).toMatchObject({ isPromoted: false, standing: { misfits: refusal.issues } });
      await process.promotions.decide(wanted, { by: ben, decision: 'approve' });
      expect(champion()).toBe(3);
    });

    it('is not brought by the last approval where the alias came to mean another version meanwhile', async () => {
      const wanted = await setUpOther({ approvals: 1 });
      await process.promotions.promote({ ...wanted, alias: 'beta', by: BY });
      await process.models.promote({ name, alias: 'beta', version: 1, by: BY });
      const decided = process.promotions.decide(
        { ...wanted, alias: 'beta' },
        { by: ben, decision: 'approve' },
      );
      await expect(decided).rejects.toMatchObject({ code: 'models.signature_changed' });
      expect(process.models.resolve(name, 'beta').version).toBe(1);
      await process.promotions.promote({ ...wanted, alias: 'beta', force: true, by: BY });
      expect(process.models.resolve(name, 'beta').version).toBe(3);
    });
  });

  it('of a first version waits as well: a definition with a policy gives no alias by itself', async () => {
    name = `model-${++models}`;
    await setPolicy(shared, name, { approvals: 1 });
    const onnx = new TextEncoder().encode('first');
    await process.models.applyDefinition({ name, onnx, by: BY });
    expect(process.models.get(name).aliases).toEqual({});
  });
});
