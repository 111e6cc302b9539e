import type { RequestHead } from './head.ts';

/** Where an answer goes. */
export interface Reply {
  /** Set when the caller has gone: what still waits for it is canceled. */
  readonly signal: AbortSignal;
  /** The id of the request, which the answer carries. */
  readonly requestId: string;
  /** `headers`: name, value, name, value, …, without the length. */
  send(status: number, headers: readonly string[], body: string | Uint8Array): void;
}

/** Answers a request of one head, given its whole body. Throws nothing: what goes wrong is an answer, too. */
type Handler = (body: Buffer, reply: Reply) => void;

/**
 * Lets a large body in, or refuses it, by the head alone: calls `admitted` with what gives back the bytes once the answer is sent, or answers and never
 * calls it. Throws nothing.
 */
export type Admission = (reply: Reply, admitted: (release: () => void) => void) => void;

/** What becomes of the requests with one head. */
export interface Handling {
  readonly handle: Handler;
  /** Asked before the body is read; absent for a body so small that it is read unasked. */
  readonly admission?: Admission | undefined;
  /** The id that the caller gave; otherwise each request gets one. */
  readonly requestId: string | undefined;
  /** What every answer carries besides: name, value, name, value, … */
  readonly headers: readonly string[];
}

/** Takes the requests of one kind without a web framework, and answers them as their route would. */
export interface LeanDoor {
  /** What the addresses of its requests begin with. */
  readonly prefix: string;
  /** Larger bodies are left to the framework. */
  readonly bodyBytesMax: number;
  /** What answers requests with this head; undefined leaves them to the framework. Asked once for heads of one text. */
  handlingOf(head: RequestHead): Handling | undefined;
}

/** Of the doors, the one that takes a request; undefined when it is the framework's. */
export function handlingFor(doors: readonly LeanDoor[], head: RequestHead): Handling | undefined {
  const door = doors.find(({ prefix }) => head.url.startsWith(prefix));
  return door && head.bodyBytes <= door.bodyBytesMax ? door.handlingOf(head) : undefined;
}
