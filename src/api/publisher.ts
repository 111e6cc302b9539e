import { isQuarantined, type Quarantine } from '../contracts/quarantine.ts';
import { type Headers, type Parsed, parseEvents } from '../events/cloudevents-http.ts';
import { Intake } from '../events/intake.ts';
import type { EventLog } from '../events/log.ts';
import type { Clock } from '../kernel/clock.ts';
import { type CloudEvent, postedBy } from '../kernel/cloudevent.ts';
import { AiosError, type Problem, toAiosError } from '../kernel/errors.ts';
import type { JsonObject } from '../kernel/json.ts';
import type { Limits } from '../kernel/limits.ts';
import { traced } from './tracing.ts';

export interface PublisherDependencies {
  log: Pick<EventLog, 'append' | 'appendOne'>;
  clock: Clock;
  limits: Limits;
  /** Holds an event to its contract; throws when it does not fit. */
  check(event: CloudEvent): unknown;
  quarantine: Pick<Quarantine, 'keep'>;
  /** Whether what events start may train a model: then an event is kept with who posted it. */
  keepsPosters(): boolean;
}

/** What became of the events of a request. */
export interface Published {
  accepted: number;
  duplicates: number;
  rejected: { index: number; problem: Problem }[];
  /** Left out when there are none. */
  quarantined?: number;
}

interface Apart {
  event: CloudEvent;
  fault: AiosError;
}

/**
 * Takes the events of a request into the log, however they come: held to their contracts, durable when it resolves.
 *
 * @example await publisher.publish({ 'content-type': 'application/cloudevents+json' }, body) // { accepted: 1, duplicates: 0, rejected: [] }
 */
export class Publisher {
  /** What is under way, of all requests together. */
  readonly intake: Intake;
  readonly #dependencies: PublisherDependencies;

  constructor(dependencies: PublisherDependencies) {
    this.intake = new Intake(dependencies.limits);
    this.#dependencies = dependencies;
  }

  /** @param by the key that posts them @throws AiosError when the request as a whole is refused: it is none, or its only event, or all of them for now */
  async publish(headers: Headers, body: Uint8Array, by?: string): Promise<Published> {
    const { clock, limits, keepsPosters } = this.#dependencies;
    let parsed = parseEvents(headers, body, clock.now(), limits);
    if (keepsPosters())
      parsed = parsed.map((event) => (event instanceof AiosError ? event : postedBy(event, by)));
    return parsed.length === 1 ? this.#one(parsed[0]!) : this.#batch(parsed);
  }

  async #one(parsed: Parsed): Promise<Published> {
    const { check, log, quarantine } = this.#dependencies;
    if (parsed instanceof AiosError) throw parsed;
    const fault = faultOf(check, parsed);
    if (fault && isQuarantined(fault)) {
      await quarantine.keep([{ event: parsed, fault }]);
      return { accepted: 0, duplicates: 0, rejected: [], quarantined: 1 };
    }
    if (fault) throw alone(fault);
    const { duplicate } = await log.appendOne(traced(parsed)).catch((error: unknown) => {
      throw alone(toAiosError(error));
    });
    return { accepted: duplicate ? 0 : 1, duplicates: duplicate ? 1 : 0, rejected: [] };
  }

  async #batch(parsed: readonly Parsed[]): Promise<Published> {
    const { check, log, quarantine } = this.#dependencies;
    const rejected: Published['rejected'] = [];
    const events: CloudEvent[] = [];
    const apart: Apart[] = [];
    const indexes: number[] = [];
    for (const [index, event] of parsed.entries()) {
      const fault = event instanceof AiosError ? event : faultOf(check, event);
      if (fault && isQuarantined(fault)) apart.push({ event: event as CloudEvent, fault });
      else if (fault) rejected.push({ index, problem: fault.toProblem() });
      else indexes[events.push(traced(event as CloudEvent)) - 1] = index;
    }
    await quarantine.keep(apart);
    let duplicates = 0;
    const later: AiosError[] = [];
    for (const [position, outcome] of (await log.append(events)).entries()) {
      if (outcome.status === 'rejected') {
        const fault = toAiosError(outcome.reason);
        if (isForLater(fault)) later.push(fault);
        else rejected.push({ index: indexes[position]!, problem: fault.toProblem() });
      } else if (outcome.value.duplicate) duplicates++;
    }
    const accepted = parsed.length - rejected.length - later.length - duplicates - apart.length;
    const published = {
      ...{ accepted, duplicates, rejected },
      ...(apart.length > 0 ? { quarantined: apart.length } : {}),
    };
    if (later.length > 0) throw toBeSentAgain(later, parsed.length, published);
    return published;
  }
}

/** What is not about the event: sent again as it is, it may be taken. */
function isForLater({ status, retryable }: AiosError): boolean {
  return retryable && (status === 429 || status === 503);
}

/** Whoever looks at the status alone would lose what was not taken; what was taken is known when it comes again. */
function toBeSentAgain(later: readonly AiosError[], count: number, published: Published): AiosError {
  const [{ code, message, extensions }] = later as [AiosError];
  const detail = `${later.length} of ${count} events were not taken; send the batch again, those that were taken count as duplicates: ${message}`;
  return new AiosError(code, {
    detail,
    extensions: { ...extensions, ...(published as unknown as JsonObject) },
  });
}

/** A request with one event, refused, is a refused request: its status says so. What a batch would tell of the event, it tells. */
function alone({ code, message, issues, extensions }: AiosError): AiosError {
  return new AiosError(code, { detail: message, issues: [...issues], extensions });
}

function faultOf(check: PublisherDependencies['check'], event: CloudEvent): AiosError | undefined {
  try {
    check(event);
    return undefined;
  } catch (error) {
    return toAiosError(error);
  }
}
