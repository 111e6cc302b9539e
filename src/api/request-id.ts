import type { IncomingHttpHeaders } from 'node:http';
import { idMaker } from '../kernel/ids.ts';

/** The header that names a request: what proxies set and clients read (`_request_id` of OpenAI's). */
export const REQUEST_ID = 'x-request-id';

/** What ids are made of in practice (UUIDs, base64, ULIDs, dotted and slashed names). No blank, comma or quote: an id goes into headers, logs and JSON as it is. */
const ID = /^[\w.:~+/=@-]+$/;

/** An id for a request whose caller gave none. @example newRequestId() // 'req_06h05zrx45xevgweapnerphhon01' */
export const newRequestId: () => string = idMaker('req');

/**
 * The id that a caller gave its request; undefined when there is none, or none that can be taken: it is too long or holds other characters.
 *
 * @param charsMax `requestIdCharsMax`
 * @example givenRequestId({ 'x-request-id': 'trace-7' }, 128) // 'trace-7'
 */
export function givenRequestId(headers: IncomingHttpHeaders, charsMax: number): string | undefined {
  return takenRequestId(headers[REQUEST_ID], charsMax);
}

/** The id itself, where it can be taken. @example takenRequestId('a b', 128) // undefined */
export function takenRequestId(id: unknown, charsMax: number): string | undefined {
  return typeof id === 'string' && id.length <= charsMax && ID.test(id) ? id : undefined;
}

/** As clients and proxies write it; another spelling is read with the rest of its head. */
const SPELLINGS = ['x-request-id', 'X-Request-Id', 'X-Request-ID'].map((name) => `\r\n${name}: `);

/**
 * Takes the line of the id out of a head: a gateway gives each request another one, and heads that are the same but for it are read once.
 *
 * @returns undefined when there is none, or none that can be taken
 * @example cutRequestId('POST / HTTP/1.1\r\nx-request-id: a\r\n\r\n', 128) // { head: 'POST / HTTP/1.1\r\n\r\n', id: 'a' }
 */
export function cutRequestId(head: string, charsMax: number): { head: string; id: string } | undefined {
  for (const spelling of SPELLINGS) {
    const at = head.indexOf(spelling);
    if (at === -1) continue;
    const from = at + spelling.length;
    const to = head.indexOf('\r\n', from);
    const id = head.slice(from, to);
    if (takenRequestId(id, charsMax) === undefined) return undefined;
    return { head: head.slice(0, at) + head.slice(to), id };
  }
  return undefined;
}
