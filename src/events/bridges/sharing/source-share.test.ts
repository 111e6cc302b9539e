import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { definitionMigrations } from '../../../store/definitions.ts';
import { createTestDatabase, type TestDatabase } from '../../../testing/database.ts';
import { eventMigrations } from '../../migrations.ts';

/** Nothing ends with a lease but where a test says so. */
const LEASE_MS = 3_600_000;
const SOURCES = ['a', 'b', 'c', 'd', 'e', 'f'];

/** A process of its own, and the sources that it says it holds. */
class Member {
  readonly process: ChildProcess;
  held: string[] = [];

  constructor(url: string, names: readonly string[], leaseMs: number) {
    const file = join(import.meta.dirname, 'share-member-under-test.ts');
    this.process = spawn(process.execPath, [file, url, names.join(), `consumerLeaseMs=${leaseMs}`], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    createInterface({ input: this.process.stdout! }).on('line', (line) => {
      this.held = line.split(' ').filter(Boolean);
    });
  }

  async kill(): Promise<void> {
    if (this.process.exitCode !== null || this.process.signalCode !== null) return;
    this.process.kill('SIGKILL');
    await once(this.process, 'exit');
  }
}

describe('processes that run sources of bridges', { timeout: 60_000 }, () => {
  let database: TestDatabase;
  let members: Member[] = [];
  beforeAll(async () => {
    database = await createTestDatabase([...definitionMigrations, ...eventMigrations]);
  });
  beforeEach(async () => {
    await database.db.query('delete from bridges');
    await database.db.query('insert into bridges (name) select unnest($1::text[])', [SOURCES]);
  });
  afterEach(async () => {
    await Promise.all(members.map((member) => member.kill()));
    members = [];
  });
  afterAll(() => database.close());

  const start = (names: readonly string[] = SOURCES, leaseMs = LEASE_MS) => {
    const member = new Member(database.url, names, leaseMs);
    members.push(member);
    return member;
  };
  /** Until each source is held once, so many of them by each process. */
  const shared = (of: readonly Member[], ...counts: number[]) =>
    vi.waitFor(
      () => {
        expect(of.flatMap(({ held }) => held).sort()).toEqual(SOURCES);
        expect(of.map(({ held }) => held.length).sort()).toEqual(counts);
      },
      { timeout: 20_000, interval: 10 },
    );

  it('have as many each, and go on at once with those of one that was killed', async () => {
    const a = start();
    await shared([a], 6);
    const b = start();
    await shared([a, b], 3, 3);
    const c = start();
    await shared([a, b, c], 2, 2, 2);
    const [ofA, ofB] = [a.held, b.held];
    await c.kill();
    await shared([a, b], 3, 3);
    expect(a.held).toEqual(expect.arrayContaining(ofA));
    expect(b.held).toEqual(expect.arrayContaining(ofB));
    await a.kill();
    await shared([b], 6);
  });

  it('take beyond their share what the others do not know', async () => {
    const old = start(['a'], 3_000);
    await vi.waitFor(() => expect(old.held).toEqual(['a']), { timeout: 20_000 });
    const next = start(SOURCES, 3_000);
    await vi.waitFor(
      () => {
        expect([...old.held, ...next.held].sort()).toEqual(SOURCES);
        expect(next.held).toEqual(expect.arrayContaining(SOURCES.slice(1)));
      },
      { timeout: 30_000, interval: 10 },
    );
  });
});
