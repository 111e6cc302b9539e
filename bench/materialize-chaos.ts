import { setTimeout as sleep } from 'node:timers/promises';
import { seededRandom } from '../examples/returns/simulator.ts';
import { openDatabase } from '../src/store/database.ts';
import { joinEmbeddedPostgres } from '../src/store/embedded-address.ts';
import type { ChaosOptions, ChaosResult } from './chaos.ts';
import { ending, type OnEnd } from './ending.ts';
import { KilledProduct } from './kills.ts';
import { freePort, temporaryFolder } from './product.ts';

const PRODUCTS = 6_000;
/** Rows that a round adds to the table. */
const CHANGES = 2_000;
/** Small pages: a pass is many transactions, and the kill falls between and into them. */
const PAGE = 50;
/** Every third pass reads the whole table, from which so many products have gone. */
const FULL_EVERY = 3;
const GONE = 400;
const ENTITY = 'name: product\njoinKeys: [product]\n';
const VIEW = `name: stock
entity: product
source: { table: shop.stock, timestamp: updated_at }
keys: { product: sku }
features: { price: { type: float64 }, on_hand: { type: int64 } }
`;
const SERVICE = 'name: stock\nviews: [stock]\n';

interface Pass {
  id: string;
  status: 'running' | 'done' | 'failed';
  entities: number;
  total: number | null;
}

/** Passes over the table of a batch view under kill -9, of the server and of Postgres: each ends, every newest row is online and none that is gone, and no entity is counted twice. */
export function chaos(options: ChaosOptions): Promise<ChaosResult> {
  return ending((onEnd) => run(options, onEnd));
}

async function run({ rounds, seed, workers, say }: ChaosOptions, onEnd: OnEnd): Promise<ChaosResult> {
  const random = seededRandom(seed);
  const folder = await temporaryFolder();
  onEnd(() => folder.dispose());
  // With hardly an overlap each incremental pass takes what changed since the last one, and no more: the count tells what was taken twice.
  const env = {
    AIOS_FEATURE_SCHEMAS: 'shop',
    AIOS_LIMITS: `${process.env.AIOS_LIMITS ?? ''},featureMaterializeRowsMax=${PAGE},featureMaterializeOverlapMs=1`,
  };
  const product = await KilledProduct.start(
    { dataDir: folder.path, port: await freePort(), env },
    random,
    workers,
  );
  onEnd(() => product.end());
  const table = await Table.create(`${folder.path}/postgres`, random);
  await product.persist((client) =>
    client.request('POST', '/api/v1/apply', {
      body: {
        files: [
          { path: 'entities/product.yaml', text: ENTITY },
          { path: 'features/stock.yaml', text: VIEW },
          { path: 'services/stock.yaml', text: SERVICE },
        ],
      },
    }),
  );
  const figures = { passes: 0, interrupted: 0, unended: 0, wrong: 0, doubled: 0 };
  for (let round = 1; round <= rounds; round++) {
    const mode = round % FULL_EVERY === 1 ? 'full' : 'incremental';
    const changed = await table.change(round === 1 ? PRODUCTS : CHANGES);
    if (mode === 'full' && round > 1) await table.lose(GONE);
    const begun = await product.persist((client) =>
      client.request<Pass>('POST', '/api/v1/feature-views/stock/materialize', {
        headers: { 'idempotency-key': `chaos-${seed}-${round}` },
        body: { mode },
      }),
    );
    const victim = await product.killWithin(0, 400);
    const atKill = await product.persist((client) => passOf(client, begun.id));
    const pass = await ended(product, begun.id);
    const wrong = await wrongRows(product, table.newest, mode === 'full' ? table.gone : []);
    figures.passes++;
    if (atKill.status === 'running') figures.interrupted++;
    if (pass.status !== 'done') figures.unended++;
    figures.wrong += wrong;
    if (pass.entities !== (mode === 'full' ? table.newest.size : changed)) figures.doubled++;
    say(
      `round ${round}: killed ${victim} in a pass (${mode}) that had ${atKill.entities} of ${atKill.total} entities: ${pass.status} with ${pass.entities}; ${wrong} rows wrong`,
    );
  }
  const held = figures.unended === 0 && figures.wrong === 0 && figures.doubled === 0;
  return { figures: { rounds, seed, workers, ...figures }, held };
}

interface Stock {
  price: number;
  onHand: number;
}

/** The table as its owner writes it: a row for each change. */
class Table {
  /** What must be online once the last change was brought there. */
  readonly newest = new Map<string, Stock>();
  /** What a full pass must have taken offline. */
  gone: readonly string[] = [];
  readonly #dataDir: string;
  readonly #random: () => number;

  private constructor(dataDir: string, random: () => number) {
    this.#dataDir = dataDir;
    this.#random = random;
  }

  static async create(dataDir: string, random: () => number): Promise<Table> {
    const table = new Table(dataDir, random);
    await table.#run('create schema shop', []);
    await table.#run(
      'create table shop.stock (sku text, updated_at timestamptz, price float8, on_hand bigint, primary key (sku, updated_at))',
      [],
    );
    return table;
  }

  /** Changes so many products, each once. @returns how many */
  async change(count: number): Promise<number> {
    const first = Math.floor(this.#random() * PRODUCTS);
    const skus = Array.from({ length: count }, (_, at) => `sku-${(first + at) % PRODUCTS}`);
    for (const sku of skus)
      this.newest.set(sku, {
        price: Math.round(this.#random() * 10_000) / 100,
        onHand: Math.floor(this.#random() * 1_000),
      });
    const stocks = skus.map((sku) => this.newest.get(sku)!);
    await this.#run(
      'insert into shop.stock select sku, clock_timestamp(), price, on_hand from unnest($1::text[], $2::float8[], $3::bigint[]) as r(sku, price, on_hand)',
      [skus, stocks.map(({ price }) => price), stocks.map(({ onHand }) => onHand)],
    );
    await sleep(2); // times are compared by milliseconds
    return count;
  }

  /** Deletes all rows of so many products. */
  async lose(count: number): Promise<void> {
    const first = Math.floor(this.#random() * PRODUCTS);
    this.gone = Array.from({ length: count }, (_, at) => `sku-${(first + at) % PRODUCTS}`);
    for (const sku of this.gone) this.newest.delete(sku);
    await this.#run('delete from shop.stock where sku = any($1::text[])', [this.gone]);
  }

  /** Between kills only: a statement is not sent twice. */
  async #run(text: string, values: unknown[]): Promise<void> {
    const db = await openDatabase(await joinEmbeddedPostgres(this.#dataDir), 1);
    try {
      await db.queryDynamic(text, values);
    } finally {
      await db.close();
    }
  }
}

function passOf(client: KilledProduct['current']['client'], id: string): Promise<Pass> {
  return client.request<Pass>('GET', `/api/v1/features/materializations/${id}`);
}

async function ended(product: KilledProduct, id: string): Promise<Pass> {
  for (const untilMs = performance.now() + 120_000; ; ) {
    const pass = await product.persist((client) => passOf(client, id));
    if (pass.status !== 'running' || performance.now() > untilMs) return pass;
    await sleep(50);
  }
}

/** How many entities are not online as their newest row says, or are there though they are gone. */
async function wrongRows(
  product: KilledProduct,
  newest: ReadonlyMap<string, Stock>,
  gone: readonly string[],
): Promise<number> {
  const all: (readonly [string, Stock | undefined])[] = [
    ...newest,
    ...gone.map((sku) => [sku, undefined] as const),
  ];
  let wrong = 0;
  for (let from = 0; from < all.length; from += 500) {
    const part = all.slice(from, from + 500);
    const { names, rows } = await product.persist((client) =>
      client.request<{ names: string[]; rows: (number | null)[][] }>('POST', '/api/v1/features/online', {
        body: { service: 'stock', entities: part.map(([sku]) => ({ product: sku })) },
      }),
    );
    const [price, onHand] = [names.indexOf('price'), names.indexOf('on_hand')];
    for (const [at, [, stock]] of part.entries())
      if (rows[at]![price] !== (stock?.price ?? null) || rows[at]![onHand] !== (stock?.onHand ?? null))
        wrong++;
  }
  return wrong;
}
