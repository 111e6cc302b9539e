import { setTimeout as sleep } from 'node:timers/promises';
import { AiosError, toAiosError } from '../../../kernel/errors.ts';
import type { JsonObject } from '../../../kernel/json.ts';
import { compileSchema } from '../../../kernel/schema.ts';
import type { Queryable } from '../../../store/database.ts';
import type { Definition } from '../../../store/definitions.ts';
import { writeInTransaction } from '../../../store/write-in-transaction.ts';
import { openLetters } from '../../dead-letters.ts';
import { type BridgeDefinition, protocolOf } from '../definition/bridge-kind.ts';
import { SourceShare } from '../sharing/source-share.ts';
import { type BridgeChannel, channelsOf } from './bridge-channels.ts';
import { bridgeCounters, type ObservedBridge, observeBridges } from './bridge-metrics.ts';
import { openBridge, type RunningBridge } from './bridge-run.ts';
import {
  addRestart,
  readBridges,
  registerBridges,
  setBehind,
  setNotice,
  setPaused,
  setPosition,
  setProblem,
  setSpace,
} from './bridge-store.ts';
import { type BridgeView, bridgeGroup, viewOf } from './bridge-view.ts';
import type { Actor, BridgeChange, BridgesDependencies } from './bridges-dependencies.ts';
import { letterHandler } from './letters.ts';

type Bridge = { readonly version: number; readonly definition: BridgeDefinition };

/** The places of a sink, as people may move it. */
const SPACE: JsonObject = {
  type: 'object',
  additionalProperties: false,
  required: ['space'],
  properties: { space: { type: 'string', format: 'uuid' } },
};

/** The space that a sink leaves is on record: it can be gone back to. */
async function movedSpace(tx: Queryable, name: string, place: JsonObject | null) {
  const { from, to } = await setSpace(tx, name, place && String(place.space));
  const action: 'moved' | 'reset' = place ? 'moved' : 'reset';
  return { action, from: { space: from }, to: { space: to } };
}

/** A bridge as it is to run: another version or another count of restarts is opened anew. */
type Wanted = Bridge & { readonly restarts: number };

/**
 * Runs the bridges that are defined: a source in one process at a time, all of them spread over the processes; a sink as a consumer group, shared as all
 * are. What is applied, paused or
 * resumed in whichever process is followed within `bridgePollMs`.
 *
 * @example const bridges = new Bridges(dependencies); await bridges.start(); await bridges.pause('orders', by)
 */
export class Bridges {
  readonly #dependencies: BridgesDependencies;
  readonly #share: SourceShare;
  /** Ends under way, which a broker that says nothing may hold up: none of these is begun anew before. */
  readonly #ending = new Map<string, Promise<void>>();
  readonly #running = new Map<string, Pick<Wanted, 'version' | 'restarts'> & { bridge: RunningBridge }>();
  /** What was logged of a bridge since it last went well: it is tried again every two seconds, for days where nobody looks. */
  readonly #logged = new Map<string, string>();
  /** What the other side of a source has that was not read yet, of those that run here and know it. */
  readonly #behind = new Map<string, number>();
  /** What of that the others were told. */
  readonly #toldBehind = new Map<string, number>();
  #unobserve = () => {};
  #timer: NodeJS.Timeout | undefined;
  #looking: Promise<void> = Promise.resolve();
  #isEnding = false;

  constructor(dependencies: BridgesDependencies) {
    this.#dependencies = dependencies;
    const { db, limits, consumers } = dependencies;
    this.#share = new SourceShare({ db, limits, membership: consumers.membership });
    const others = consumers.onUnknownGroup;
    consumers.onUnknownGroup = async (group) => {
      const bridge = this.#defined().find(({ definition: { name } }) => bridgeGroup(name) === group);
      return bridge?.definition.from ? letterHandler(bridge.definition, dependencies) : others(group);
    };
  }

  async start(): Promise<void> {
    const { takesPart, limits } = this.#dependencies;
    if (!takesPart) return;
    await this.#look();
    this.#unobserve = observeBridges(() => this.#observed());
    this.#timer = setInterval(() => void this.#look(), limits.bridgePollMs).unref();
  }

  /** Finishes the batches under way, and leaves the sources to the others. */
  async stop(): Promise<void> {
    clearInterval(this.#timer);
    this.#unobserve();
    this.#isEnding = true;
    await this.#looking;
    void this.#end([...this.#running.keys()]);
    await Promise.all(this.#ending.values());
    await this.#share.leave();
  }

  /** All bridges by name, with how they fare in whichever process. */
  async list(): Promise<BridgeView[]> {
    const { db, consumers, protocols } = this.#dependencies;
    const [rows, groups] = await Promise.all([readBridges(db), consumers.groups()]);
    return this.#defined()
      .sort((a, b) => (a.definition.name < b.definition.name ? -1 : 1))
      .map(({ definition, version }) =>
        viewOf(definition, version, protocols, {
          row: rows.find(({ name }) => name === definition.name),
          group: groups.find(({ group }) => group === bridgeGroup(definition.name)),
        }),
      );
  }

  /** @throws AiosError `bridges.unknown` */
  async get(name: string): Promise<BridgeView> {
    this.#require(name);
    return (await this.list()).find((bridge) => bridge.name === name)!;
  }

  /** Stops a bridge, in whichever process, until it is resumed; it keeps its place. @throws AiosError `bridges.unknown` */
  async pause(name: string, by: Actor): Promise<BridgeView> {
    this.#require(name);
    await this.#set(name, true, by);
    return this.get(name);
  }

  /** @throws AiosError `bridges.unknown`, `bridges.paused_by_definition` */
  async resume(name: string, by: Actor): Promise<BridgeView> {
    if (this.#require(name).paused)
      throw new AiosError('bridges.paused_by_definition', { detail: `bridges/${name}: paused: true.` });
    await this.#set(name, false, by);
    return this.get(name);
  }

  /** Opens it anew in every process that runs it: with new connections, and with variables and secrets as they are now. @throws AiosError `bridges.unknown` */
  async restart(name: string, by: Actor): Promise<BridgeView> {
    this.#require(name);
    await this.#change(name, async (tx) => {
      await addRestart(tx, name);
      return { action: 'restarted', name, by };
    });
    return this.get(name);
  }

  /**
   * Lets a source go on from another place: one that its status has shown, or null for where it begins without one (`start`). Events that the log has already are
   * known by their ids. The places of a sink on the other side are of one space: with another one it goes on from what was left under that name, with null from the place of
   * its consumer group.
   *
   * @throws AiosError `bridges.unknown`, `bridges.place_not_here`, `request.invalid` for what is not a place of its protocol
   */
  async move(name: string, to: JsonObject | null, by: Actor): Promise<BridgeView> {
    const { protocols } = this.#dependencies;
    const { direction, protocol } = protocolOf(this.#require(name), protocols);
    const schema = direction === 'from' ? protocol.source?.position : SPACE;
    if (!schema)
      throw new AiosError('bridges.place_not_here', { detail: `${name} is a source of ${protocol.name}.` });
    const issues = to === null ? [] : compileSchema(schema)(to);
    if (issues.length > 0) throw new AiosError('request.invalid', { issues });
    const { position: from } = await this.get(name);
    await this.#change(name, async (tx) => {
      await addRestart(tx, name);
      if (direction === 'to') return { ...(await movedSpace(tx, name, to)), name, by };
      await setPosition(tx, name, to);
      return { action: 'moved', name, by, from, to };
    });
    return this.get(name);
  }

  #set(name: string, isPaused: boolean, by: Actor): Promise<void> {
    return this.#change(name, async (tx) =>
      (await setPaused(tx, name, isPaused))
        ? { action: isPaused ? 'paused' : 'resumed', name, by }
        : undefined,
    );
  }

  /** With its record, where there is any; this process follows at once. */
  async #change(name: string, make: (tx: Queryable) => Promise<BridgeChange | undefined>): Promise<void> {
    const { db, record } = this.#dependencies;
    await registerBridges(db, [name]);
    let after: (() => void) | undefined;
    await db.transaction(async (tx) => {
      const change = await make(tx);
      if (change) after = await writeInTransaction(tx, [record(change)]);
    });
    after?.();
    await this.#look();
  }

  #defined(): Bridge[] {
    return this.#dependencies.definitions
      .list('bridge')
      .map(({ version, body }: Definition) => ({ version, definition: body as unknown as BridgeDefinition }));
  }

  #require(name: string): BridgeDefinition {
    const bridge = this.#defined().find(({ definition }) => definition.name === name);
    if (bridge) return bridge.definition;
    throw new AiosError('bridges.unknown', { detail: `There is no bridge “${name}”.` });
  }

  /** One at a time. */
  #look(): Promise<void> {
    if (!this.#dependencies.takesPart || this.#isEnding) return Promise.resolve();
    this.#looking = this.#looking
      .then(() => this.#follow())
      .catch((error: unknown) => this.#dependencies.onError('', error));
    return this.#looking;
  }

  /** Where bridges take messages from, and send them. */
  channels(): BridgeChannel[] {
    return this.#defined().flatMap(({ definition }) => channelsOf(definition, this.#dependencies.protocols));
  }

  async #follow(): Promise<void> {
    const { db, protocols, limits } = this.#dependencies;
    const defined = this.#defined();
    if (defined.length === 0) return;
    const rows = await readBridges(db);
    const unknown = defined.filter(({ definition: { name } }) => !rows.some((row) => row.name === name));
    if (unknown.length > 0)
      await registerBridges(
        db,
        unknown.map(({ definition: { name } }) => name),
      );
    const active = defined.filter(
      ({ definition }) =>
        !definition.paused &&
        !rows.find(({ name }) => name === definition.name)?.isPaused &&
        protocolOf(definition, protocols).protocol !== undefined, // another release knows it
    );
    const sources = active
      .filter(({ definition }) => definition.from)
      .map(({ definition: { name } }) => name);
    const { held, given } = await this.#share.hold(sources);
    await this.#tellBehind();
    const wanted = active
      .filter(({ definition: { name, to } }) => to || held.has(name))
      .map((one) => ({
        ...one,
        restarts: rows.find(({ name }) => name === one.definition.name)?.restarts ?? 0,
      }));
    const over = [...this.#running].filter(
      ([name, { version, restarts }]) =>
        !wanted.some(
          (one) => one.definition.name === name && one.version === version && one.restarts === restarts,
        ),
    );
    const ended = this.#end(
      [...new Set([...over.map(([name]) => name), ...given])],
      (name) => !held.has(name),
    );
    // One that does not come to its end holds up no other.
    await Promise.race([ended, sleep(limits.bridgeStopMs, undefined, { ref: false })]);
    await Promise.all(
      wanted
        .filter(({ definition: { name } }) => !this.#running.has(name) && !this.#ending.has(name))
        .map((one) => this.#begin(one)),
    );
  }

  async #begin({ version, restarts, definition }: Wanted): Promise<void> {
    const { name } = definition;
    const counters = bridgeCounters(name, protocolOf(definition, this.#dependencies.protocols).protocol.name);
    try {
      const bridge = await openBridge(definition, {
        ...this.#dependencies,
        counters,
        behind: (messages) => void this.#behind.set(name, messages),
        told: (error, secrets) => {
          counters.failed(error.code);
          this.#told(name, error, secrets);
        },
        noticed: (error, secrets) => {
          counters.failed(error.code);
          this.#noticed(name, error, secrets);
        },
        answered: () => {
          this.#logged.delete(name);
          setProblem(this.#dependencies.db, name, null).catch(() => {});
        },
      });
      this.#running.set(name, { version, restarts, bridge });
    } catch (error) {
      const problem = toAiosError(error);
      counters.failed(problem.code);
      this.#told(name, problem, []);
    }
  }

  /** To those that look at bridges in another process. */
  async #tellBehind(): Promise<void> {
    const news = [...this.#behind].filter(([name, behind]) => this.#toldBehind.get(name) !== behind);
    if (news.length === 0) return;
    await setBehind(
      this.#dependencies.db,
      news.map(([name, behind]) => ({ name, behind })),
    );
    for (const [name, behind] of news) this.#toldBehind.set(name, behind);
  }

  /** As metrics tell it. */
  async #observed(): Promise<ObservedBridge[]> {
    const bridges = await this.list();
    const letters = await openLetters(
      this.#dependencies.db,
      bridges.map(({ name }) => bridgeGroup(name)),
    );
    return bridges.map((bridge) => ({
      ...{ ...bridge, lag: bridge.direction === 'sink' ? bridge.lag : this.#behind.get(bridge.name) },
      openLetters: letters.get(bridgeGroup(bridge.name)) ?? 0,
    }));
  }

  /** Resolves when those have ended that had not begun to. */
  async #end(names: readonly string[], isReleased: (name: string) => boolean = () => true): Promise<void> {
    const ends = names
      .filter((name) => !this.#ending.has(name))
      .map((name) => {
        const ended = this.#endOne(name, isReleased(name))
          .catch((error: unknown) => this.#dependencies.onError(name, error))
          .finally(() => this.#ending.delete(name));
        this.#ending.set(name, ended);
        return ended;
      });
    await Promise.all(ends);
  }

  async #endOne(name: string, isReleased: boolean): Promise<void> {
    const bridge = this.#running.get(name)?.bridge;
    this.#running.delete(name);
    await bridge?.stop();
    this.#behind.delete(name);
    if (this.#toldBehind.delete(name)) await setBehind(this.#dependencies.db, [{ name, behind: null }]);
    if (isReleased) await this.#share.release([name]);
  }

  /** What goes wrong stands in the status of the bridge until it goes well. */
  #told(name: string, error: AiosError, secrets: readonly string[]): void {
    const { db, onError } = this.#dependencies;
    const problem = this.#clean(error, secrets);
    const text = `${problem.code} ${problem.message}`;
    if (this.#logged.get(name) !== text) onError(name, problem);
    this.#logged.set(name, text);
    setProblem(db, name, problem.toProblem()).catch(() => {}); // the database is away: it is told again
  }

  #noticed(name: string, error: AiosError, secrets: readonly string[]): void {
    const { db, onError } = this.#dependencies;
    const notice = this.#clean(error, secrets);
    onError(name, notice);
    setNotice(db, name, notice.toProblem()).catch(() => {});
  }

  /** Brokers echo what they were sent. */
  #clean(error: AiosError, secrets: readonly string[]): AiosError {
    const { code, message, issues, extensions } = error;
    return new AiosError(code, {
      detail: this.#dependencies.redact(message, secrets),
      issues: [...issues],
      extensions: { ...extensions },
    });
  }
}
