import { afterAll, afterEach, beforeAll, beforeEach, describe } from 'vitest';
import { bulkTests } from './engine-conformance-bulk.ts';
import { crashTests } from './engine-conformance-crashes.ts';
import { lifecycleTests } from './engine-conformance-lifecycle.ts';
import { operationTests } from './engine-conformance-operations.ts';
import { payloadTests } from './engine-conformance-payloads.ts';
import { queueTests } from './engine-conformance-queues.ts';
import { retentionTests } from './engine-conformance-retention.ts';
import { retryTests } from './engine-conformance-retry.ts';
import { scheduleTests } from './engine-conformance-schedules.ts';
import { searchTests } from './engine-conformance-search.ts';
import { startTests } from './engine-conformance-starts.ts';
import { waitTests } from './engine-conformance-waits.ts';
import { type StoreFixture, World } from './engine-conformance-world.ts';

/** What the engine promises over every store (DESIGN §2): the same tests for each. */
export function engineConformance(name: string, open: () => Promise<StoreFixture>): void {
  describe(`the engine over ${name}`, () => {
    let fixture: StoreFixture;
    let world: World;
    beforeAll(async () => {
      fixture = await open();
    });
    afterAll(() => fixture.close());
    beforeEach(async () => {
      await fixture.reset();
      world = new World(fixture);
    });
    afterEach(() => world.close());
    startTests(() => world);
    waitTests(() => world);
    operationTests(() => world);
    retryTests(() => world);
    searchTests(() => world);
    retentionTests(() => world);
    bulkTests(() => world);
    crashTests(() => world);
    payloadTests(() => world);
    scheduleTests(() => world);
    lifecycleTests(() => world);
    queueTests(() => world);
  });
}
