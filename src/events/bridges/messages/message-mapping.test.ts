import { describe, expect, it } from 'vitest';
import { limitsFrom } from '../../../kernel/limits.ts';
import { event } from '../../event-under-test.ts';
import type { IncomingMessage, MessageFormat } from '../port/protocol.ts';
import { messageReader, messageWriter } from './message-mapping.ts';

const read = messageReader({ bridge: 'b', prefixes: ['ce_'], limits: limitsFrom(), nowMs: Date.now });
const incoming = (contentType: string | undefined, headers: Record<string, string>, value: Buffer) =>
  ({ id: 'm', topic: 't', position: {}, contentType, headers, value }) satisfies IncomingMessage;

describe('the data of an event in a message', () => {
  it.each([
    ['application/xml', '<a/>', '<a/>'],
    ['text/plain; charset=utf-8', 'a "b"', 'a "b"'],
    ['application/json', '<a/>', '"<a/>"'],
    ['application/problem+json; charset=utf-8', 'a', '"a"'],
    [undefined, 'a', '"a"'],
    ['application/xml', { a: 1 }, '{"a":1}'],
  ])(
    'is the text itself where its type (%s) is not JSON, and JSON otherwise',
    (datacontenttype, data, body) => {
      const one = event('e', { data, ...(datacontenttype ? { datacontenttype } : {}) });
      for (const format of ['binary', 'raw'] satisfies MessageFormat[]) {
        const { value, contentType } = messageWriter(format, 'ce_')(one);
        expect(value.toString('utf8')).toBe(body);
        expect(contentType).toBe(datacontenttype ?? 'application/json');
      }
      expect(JSON.parse(messageWriter('structured', 'ce_')(one).value.toString('utf8'))).toEqual(one);
    },
  );

  it('comes back in binary mode as what it was written as', () => {
    for (const datacontenttype of ['text/csv', 'application/xml']) {
      const one = event('e', { data: 'a;b', datacontenttype });
      const { value, contentType, headers } = messageWriter('binary', 'ce_')(one);
      const found = read(incoming(contentType, { ...headers }, value));
      const { data: _, ...attributes } = one;
      const data = datacontenttype === 'text/csv' ? { data: 'a;b' } : { data_base64: 'YTti' };
      expect(found).toEqual({ ...attributes, ...data });
    }
  });
});
