import type { RequestHead } from './head.ts';

/** Where an answer goes. */
export interface Reply {
  /** Set when the caller has gone: what still waits for it is canceled. */
  readonly signal: AbortSignal;
  /** `headers`: name, value, name, value, …, without the length. */
  send(status: number, headers: readonly string[], body: string | Uint8Array): void;
}

/** Answers a request of one head, given its whole body. Throws nothing: what goes wrong is an answer, too. */
export type Handler = (body: Buffer, reply: Reply) => void;

/** Takes the requests of one kind without a web framework, and answers them as their route would. */
export interface LeanDoor {
  /** What the addresses of its requests begin with. */
  readonly prefix: string;
  /** Larger bodies are left to the framework. */
  readonly bodyBytesMax: number;
  /** What answers requests with this head; undefined leaves them to the framework. Asked once for heads of one text. */
  handlerOf(head: RequestHead): Handler | undefined;
}

/** Of the doors, the one that takes a request; undefined when it is the framework's. */
export function handlerFor(doors: readonly LeanDoor[], head: RequestHead): Handler | undefined {
  const door = doors.find(({ prefix }) => head.url.startsWith(prefix));
  return door && head.bodyBytes <= door.bodyBytesMax ? door.handlerOf(head) : undefined;
}
