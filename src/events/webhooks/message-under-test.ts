import { createHmac, timingSafeEqual } from 'node:crypto';
import { createServer, type Server } from 'node:http';
import type { CloudEvent } from '../../kernel/cloudevent.ts';

/** What a receiver was sent. */
export interface Message {
  headers: Record<string, string>;
  body: string;
  event: CloudEvent;
}

/** A server that answers each message with the status it is given; not at all, where it is given none. */
export function receiver(answer: (message: Message) => number | undefined): Server {
  return createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const body = Buffer.concat(chunks).toString();
      const status = answer({
        headers: request.headers as Record<string, string>,
        body,
        event: JSON.parse(body),
      });
      if (status !== undefined) response.writeHead(status).end();
    });
  });
}

/** As the libraries of Standard Webhooks verify a message (spec/standard-webhooks.md, "Verifying webhook authenticity"). */
export function verify(secret: string, { headers, body }: Message, nowS = Date.now() / 1000): boolean {
  const timestamp = headers['webhook-timestamp']!;
  if (Math.abs(nowS - Number(timestamp)) > 300) return false;
  const key = Buffer.from(secret.replace(/^whsec_/, ''), 'base64');
  const expected = createHmac('sha256', key).update(`${headers['webhook-id']}.${timestamp}.${body}`).digest();
  return headers['webhook-signature']!.split(' ').some((signature) => {
    const [version, value = ''] = signature.split(',');
    const given = Buffer.from(value, 'base64');
    return version === 'v1' && given.length === expected.length && timingSafeEqual(given, expected);
  });
}
