import { systemClock } from '../../kernel/clock.ts';
import type { LoggedEvent } from '../../kernel/cloudevent.ts';
import type { ErrorCode } from '../../kernel/error-codes.ts';
import { AiosError } from '../../kernel/errors.ts';
import { entityKind, featureServiceKind, featureViewKind } from '../definitions.ts';
import { DAY, type FeatureProcess, FeaturesUnderTest, order } from '../features-under-test.ts';
import { DatasetBuilds } from './dataset-builds.ts';
import { datasetKind } from './dataset-kind.ts';
import type { DatasetChange, DatasetVersion, NewVersion } from './dataset-version.ts';
import { Datasets } from './datasets.ts';

const ENTITY = 'name: customer\njoinKeys: [customer]';
const VIEW = `
name: customer-orders
entity: customer
source: { event: order }
keys: { customer: data.customer }
features:
  orders: { aggregate: count, window: 90d }
  spend: { aggregate: sum, of: 'data.total', window: 90d }
`;
const SERVICE =
  'name: buyer\nviews: [customer-orders]\nderived: { mean_spend: "orders > 0 ? spend / double(orders) : 0.0" }';

/** Orders of a few customers, one each day: the log of the tests. */
function orders(days: number, customers = 3): LoggedEvent[] {
  return Array.from({ length: days }, (_, day) => {
    const logged = order(
      `c-${day % customers}`,
      day * DAY,
      { partition: day % 2, offset: Math.floor(day / 2) },
      [],
    );
    const { event } = logged;
    return {
      ...logged,
      event: {
        ...event,
        data: { customer: `c-${day % customers}`, total: 10 + (day % 7), late: day % 5 === 0 },
      },
    };
  });
}

/** Datasets over a database of their own, with the orders that were fed. */
export class DatasetsUnderTest {
  readonly features: FeaturesUnderTest;
  readonly process: FeatureProcess;
  readonly datasets: Datasets;
  readonly builds: DatasetBuilds;
  /** What builds are made of here. */
  readonly surroundings: ConstructorParameters<typeof DatasetBuilds>[0];
  readonly changes: DatasetChange[] = [];
  nowMs = systemClock.now();

  private constructor(features: FeaturesUnderTest, process: FeatureProcess, log: readonly LoggedEvent[]) {
    this.features = features;
    this.process = process;
    const { db, commit, limits } = features.database;
    const common = { db, commit, limits, clock: { now: () => this.nowMs }, definitions: process.definitions };
    this.datasets = new Datasets({
      ...common,
      record: (change) => {
        this.changes.push(change);
        return [];
      },
    });
    this.surroundings = {
      ...common,
      datasets: this.datasets,
      views: process.views,
      features: process.store,
      async *readEvents({ type }) {
        yield log.filter(({ event }) => event.type === type);
      },
      countEvents: async (type) => log.filter(({ event }) => event.type === type).length,
    };
    this.builds = new DatasetBuilds(this.surroundings);
  }

  /** Makes a version as a build does. @throws AiosError why it failed */
  async create(wanted: NewVersion): Promise<{ version: DatasetVersion; isNew: boolean }> {
    const id = await this.builds.start(wanted);
    let build = await this.builds.get(id);
    while (build.status === 'running') {
      await this.builds.passes.step();
      build = await this.builds.get(id);
    }
    if (build.problem) throw new AiosError(build.problem.code as ErrorCode, { detail: build.problem.detail });
    return { version: await this.datasets.version(wanted.name, build.version!), isNew: build.isNew! };
  }

  static async open(definitions: readonly string[], log = orders(40)): Promise<DatasetsUnderTest> {
    const features = await FeaturesUnderTest.open();
    await features.put(entityKind, ENTITY);
    await features.put(featureViewKind, VIEW);
    await features.put(featureServiceKind, SERVICE);
    for (const definition of definitions) await features.put(datasetKind, definition);
    const process = await features.start();
    await features.feed(process, log);
    return new DatasetsUnderTest(features, process, log);
  }

  close(): Promise<void> {
    return this.features.close();
  }
}
