import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Json } from '../kernel/json.ts';
import { LIMITS } from '../kernel/limits.ts';
import { Labels } from './labels.ts';
import { QualityReader } from './quality.ts';
import { approve, cem, openReviewsUnderTest, refuse, type Who } from './reviews-under-test.ts';
import { ann, answerOf, bob, HOUR_MS, lea, NOW_MS } from './tasks-under-test.ts';

const DAY = { fromMs: NOW_MS, toMs: NOW_MS + 24 * HOUR_MS };

describe('the answers of people', () => {
  let world: Awaited<ReturnType<typeof openReviewsUnderTest>>;
  let inbox: (typeof world)['inbox'];
  let quality: QualityReader;
  let labels: Labels;
  beforeAll(async () => {
    world = await openReviewsUnderTest();
    inbox = world.inbox;
  });
  beforeEach(async () => {
    await inbox.reset();
    const { db } = inbox.database;
    const { queues } = inbox.tasks;
    quality = new QualityReader({
      db,
      queues,
      limits: {
        qualityAnswersMax: LIMITS.qualityAnswersMax.value,
        qualityCategoriesMax: LIMITS.qualityCategoriesMax.value,
      },
    });
    labels = new Labels({
      db,
      queues,
      pseudonym: (id) => `pseudonym of ${id.length}`,
      pinsOf: async (ids) =>
        new Map(
          ids.map((id) => [
            id,
            [
              { kind: 'model', name: 'risk', version: '7' },
              { kind: 'connector', name: 'mail', version: '1' },
            ],
          ]),
        ),
    });
  });
  afterAll(() => inbox.database.close());

  /** One case that two people answer without seeing each other; a third decides where they differ. */
  const double = async (answers: readonly (readonly [Who, Json])[], suggestion: Json = approve) => {
    await inbox.open({ queue: 'bands', confidence: 0.1, suggestion });
    for (const [by, result] of answers) await world.answer(by, result);
    if ((await world.waiting()).length > 0) await world.answer(lea, refuse);
  };
  const all = async () => {
    const found = [];
    for await (const label of labels.all('bands', DAY)) found.push(label);
    return found;
  };

  describe('agree', () => {
    it("by Cohen's kappa for two, as computed by hand, and with the suggestion that they did not see", async () => {
      const plan: [number, Json, Json][] = [
        [4, approve, approve],
        [1, approve, refuse],
        [2, refuse, approve],
        [3, refuse, refuse],
      ];
      for (const [count, first, second] of plan)
        for (let i = 0; i < count; i++)
          await double([
            [ann, first],
            [bob, second],
          ]);
      const found = await quality.of('bands', DAY);
      // 10 cases: observed 0.7; expected 0.5 * 0.6 + 0.5 * 0.4 = 0.5; kappa 0.4.
      expect(found.reviewers).toMatchObject({
        method: 'cohen',
        adjudicated: 3,
        overall: { count: 10, agreement: 0.7 },
      });
      expect(found.reviewers.overall.kappa).toBeCloseTo(0.4, 10);
      expect(found.reviewers.pairs).toMatchObject([
        {
          rows: 'Ann',
          columns: 'Bob',
          table: {
            categories: ['approve', 'refuse'],
            counts: [
              [4, 1],
              [2, 3],
            ],
          },
        },
      ]);
      // Of 20 blind answers 11 say what was suggested; the adjudicators saw the answers and are not counted.
      expect(found.suggestion.blind).toMatchObject({ count: 20, agreement: 0.55 });
      expect(found.suggestion.shown.count).toBe(0);
      expect(found.routes).toMatchObject([{ route: 'double', cases: 10, sampled: 0 }]);
    });

    it("by Fleiss' kappa where they are more than two, and by Cohen's for each pair", async () => {
      await double([
        [ann, approve],
        [bob, approve],
      ]);
      await double([
        [bob, refuse],
        [cem, refuse],
      ]);
      await double([
        [cem, refuse],
        [ann, approve],
      ]);
      const { reviewers } = await quality.of('bands', DAY);
      expect(reviewers.method).toBe('fleiss');
      expect(reviewers.pairs.map(({ rows, columns }) => `${rows} ${columns}`).sort()).toEqual([
        'Ann Bob',
        'Ann Cem',
        'Bob Cem',
      ]);
      // Observed 2/3; both categories have a half: expected 1/2.
      expect(reviewers.overall.kappa).toBeCloseTo(1 / 3, 10);
    });

    it('in figures of the period only, of those cases that are over', async () => {
      await inbox.open({ queue: 'bands', confidence: 0.1, suggestion: approve });
      await world.answer(ann);
      expect(await quality.of('bands', DAY)).toMatchObject({ answers: 0 });
      expect(await all()).toEqual([]);
      await world.answer(bob);
      expect(await quality.of('bands', DAY)).toMatchObject({ answers: 2, complete: true });
      expect(await quality.of('bands', { fromMs: 0, toMs: NOW_MS })).toMatchObject({
        answers: 0,
        routes: [],
      });
      const { db } = inbox.database;
      const few = new QualityReader({
        db,
        queues: inbox.tasks.queues,
        limits: { qualityAnswersMax: 1, qualityCategoriesMax: 50 },
      });
      expect(await few.of('bands', DAY)).toMatchObject({ answers: 1, complete: false });
      await expect(quality.of('none', DAY)).rejects.toMatchObject({ code: 'tasks.unknown_queue' });
    });

    it('with a suggestion that they saw apart from one that they did not', async () => {
      await inbox.open({ queue: 'bands', confidence: 0.8, suggestion: approve });
      await world.answer(ann, approve);
      const { suggestion } = await quality.of('bands', DAY);
      expect([suggestion.shown.count, suggestion.blind.count]).toEqual([1, 0]);
    });
  });

  describe('are labels', () => {
    it('that say what was shown, answered, by whom under a pseudonym, and what stood behind the suggestion', async () => {
      await inbox.open({
        queue: 'bands',
        confidence: 0.8,
        suggestion: refuse,
        features: { orders: 3 },
        context: { amount: 5 },
      });
      const [task] = await world.waiting();
      const minutes = 2;
      await inbox.tasks.complete({ ...(await answerOf(inbox.tasks, task!.id, ann, approve)), minutes });
      expect(await all()).toEqual([
        expect.objectContaining({
          id: task!.id,
          atMs: NOW_MS,
          reviewer: 'pseudonym of 7',
          form: 'single',
          blind: false,
          shownDigest: task!.contextDigest,
          confidence: 0.8,
          route: 'review',
          minutes,
          madeWith: [{ kind: 'model', name: 'risk', version: '7' }],
          erased: false,
          outcome: 'approve',
          answer: approve,
          suggestion: refuse,
          features: { orders: 3 },
          shown: { amount: 5 },
        }),
      ]);
    });

    it('of both blind reviewers and of who decided between them', async () => {
      await double([
        [ann, approve],
        [bob, refuse],
      ]);
      expect((await all()).map(({ role, blind, outcome }) => [role, blind, outcome]).sort()).toEqual([
        ['adjudicator', true, 'refuse'],
        ['reviewer', true, 'approve'],
        ['reviewer', true, 'refuse'],
      ]);
    });

    it('page by page, each once, though many have one time', async () => {
      for (let i = 0; i < 5; i++) {
        await inbox.open({ queue: 'bands', confidence: 0.8, suggestion: approve });
        await world.answer(ann);
      }
      const ids: string[] = [];
      let cursor: string | undefined;
      do {
        const page = await labels.page('bands', DAY, cursor, 2);
        ids.push(...page.items.map(({ id }) => id));
        cursor = page.nextCursor ?? undefined;
      } while (cursor !== undefined);
      expect(new Set(ids).size).toBe(5);
      expect(ids).toHaveLength(5);
      await expect(labels.page('bands', DAY, 'x')).rejects.toMatchObject({ code: 'request.invalid' });
    });

    it('whose payloads go with the person that they are about; what waits stays until it has ended', async () => {
      for (const [subject, amount] of [
        ['eva', 1],
        ['max', 2],
      ] as const) {
        const asked = { queue: 'bands', confidence: 0.1, suggestion: approve, features: { amount } };
        await inbox.open({ ...asked, subject, context: { of: subject } });
        for (const [by, result] of [
          [ann, approve],
          [bob, refuse],
        ] as const)
          await world.answer(by, result);
        await world.answer(lea, refuse);
      }
      await inbox.open({
        queue: 'bands',
        confidence: 0.8,
        suggestion: approve,
        subject: 'eva',
        context: { of: 'eva' },
      });
      await inbox.database.commit.commit([labels.erasure('eva')]);
      const found = await all();
      const erased = found.filter((label) => label.erased);
      expect(erased).toHaveLength(3);
      for (const label of erased)
        expect(label).toMatchObject({
          outcome: null,
          answer: null,
          suggestion: null,
          features: null,
          shown: null,
          shownDigest: expect.stringMatching(/^sha256:/),
        });
      expect(found.filter((label) => !label.erased).map(({ shown }) => shown)).toEqual(
        Array(3).fill({ of: 'max' }),
      );
      const { db } = inbox.database;
      const left = await db.query<{ text: string }>(
        `select (select json_agg(r)::text from task_reviews r where subject = 'eva' and status = 'decided') ||
           (select json_agg(m)::text from task_review_tasks m join task_reviews r on r.id = m.review_id where r.subject = 'eva' and r.status = 'decided') ||
           (select json_agg(t)::text from tasks t where subject = 'eva' and status = 'completed') as text`,
      );
      expect(left[0]!.text).not.toMatch(/approve|refuse|amount|"of"/);
      expect((await world.waiting()).map(({ context }) => context)).toEqual([{ of: 'eva' }]);
    });
  });
});
