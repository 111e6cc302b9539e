import { describe, expect, it } from 'vitest';
import { limitsFrom } from '../kernel/limits.ts';
import { parseEvents } from './cloudevents-http.ts';
import { event } from './event-under-test.ts';

const body = (value: unknown) =>
  new TextEncoder().encode(typeof value === 'string' ? value : JSON.stringify(value));
const limits = limitsFrom('eventBytesMax=500,eventBatchCountMax=3,eventFutureMs=60000');
const NOW = Date.parse('2026-06-01T00:00:00.000Z');

describe('CloudEvents over HTTP', () => {
  const parse = (headers: Record<string, string>, content: unknown) =>
    parseEvents(headers, body(content), NOW, limits);
  const { data, ...attributes } = event('1');

  it.each([
    ['structured', { 'content-type': 'application/cloudevents+json; charset=utf-8' }, event('1')],
    ['plain JSON with a specversion', { 'content-type': 'application/json' }, event('1')],
    ['a batch of one', { 'content-type': 'application/cloudevents-batch+json' }, [event('1')]],
  ])('reads %s', (_, headers, content) => expect(parse(headers, content)).toEqual([event('1')]));

  it('reads binary mode, with percent-encoded headers', () => {
    const headers = Object.fromEntries(
      Object.entries(attributes).map(([name, value]) => [`ce-${name}`, encodeURIComponent(String(value))]),
    );
    expect(parse({ ...headers, 'content-type': 'application/json' }, data)).toEqual([
      { ...event('1'), datacontenttype: 'application/json' },
    ]);
  });

  it('gives an event without a time its time of arrival', () => {
    const { time: _, ...timeless } = event('1');
    expect(parse({ 'content-type': 'application/cloudevents+json' }, timeless)).toEqual([
      event('1', { time: '2026-06-01T00:00:00.000Z' }),
    ]);
  });

  it('takes the time of a producer whose clock is a little ahead, and refuses one that has not come', () => {
    const of = (time: string) => event('1', { time });
    const [near, far, past] = parse({ 'content-type': 'application/cloudevents-batch+json' }, [
      of('2026-06-01T02:01:00+02:00'),
      of('2026-06-01T00:01:00.001Z'),
      of('1970-01-01T00:00:00Z'),
    ]);
    expect([near, past]).toEqual([of('2026-06-01T02:01:00+02:00'), of('1970-01-01T00:00:00Z')]);
    expect(far).toMatchObject({
      code: 'events.time_in_future',
      extensions: { limitName: 'eventFutureMs', limit: 60_000 },
    });
  });

  it.each([
    ['another specversion', { specversion: '0.3' }, '/specversion'],
    ['no id', { id: undefined }, '/id'],
    ['an empty source', { source: '' }, '/source'],
    ['a time that is none', { time: '2020' }, '/time'],
    ['an attribute with a capital', { customerId: 'x' }, '/customerId'],
    ['an attribute that is an object', { extra: {} }, '/extra'],
    ['a subject that is not a text', { subject: 5 }, '/subject'],
    ['a control character in a type', { type: 'a\u0000' }, '/type'],
    ['half a surrogate pair', { subject: '\ud800' }, '/subject'],
    ['two forms of data', { data_base64: 'YQ==' }, '/data_base64'],
    ['base64 that is none', { data: undefined, data_base64: 'a b' }, '/data_base64'],
  ])('refuses %s, and only that event of a batch', (_, wrong, path) => {
    const [good, bad] = parse({ 'content-type': 'application/cloudevents-batch+json' }, [
      event('1'),
      { ...event('2'), ...wrong },
    ]);
    expect(good).toEqual(event('1'));
    expect(bad).toMatchObject({ code: 'events.invalid', issues: [expect.objectContaining({ path })] });
  });

  it('refuses a whole number that would lose digits, by its place, and only that event of a batch', () => {
    const written = (id: string, n: string) =>
      JSON.stringify(event(id, { data: { n: 0 } })).replace(':0}', `:${n}}`);
    const [LOST, KEPT] = ['9007199254740993', '9007199254740994'];
    const refused = {
      code: 'request.inexact_number',
      issues: [expect.objectContaining({ path: '/data/n', found: LOST })],
    };
    const batch = `[${written('1', KEPT)},${written('2', LOST)},${written('3', '1')}]`;
    expect(parse({ 'content-type': 'application/cloudevents-batch+json' }, batch)).toEqual([
      event('1', { data: { n: Number(KEPT) } }),
      expect.objectContaining(refused),
      event('3', { data: { n: 1 } }),
    ]);
    const structured = parse({ 'content-type': 'application/cloudevents+json' }, written('2', LOST));
    expect(structured).toEqual([expect.objectContaining(refused)]);
    const headers = { 'ce-specversion': '1.0', 'ce-id': '2', 'ce-source': 's', 'ce-type': 't' };
    const binary = parse({ ...headers, 'content-type': 'application/json' }, `{"n":${LOST}}`);
    expect(binary).toEqual([expect.objectContaining(refused)]);
  });

  it.each([
    ['malformed JSON', { 'content-type': 'application/cloudevents+json' }, '{"a":', 'request.malformed'],
    [
      'a number that would be kept as null',
      { 'content-type': 'application/cloudevents+json' },
      '{"specversion":"1.0","id":"1","source":"s","type":"t","data":{"total":1e400}}',
      'request.malformed',
    ],
    ['another content type', { 'content-type': 'text/csv' }, 'a,b', 'request.media_type'],
    ['a batch that is none', { 'content-type': 'application/cloudevents-batch+json' }, {}, 'request.invalid'],
    [
      'a batch over the limit',
      { 'content-type': 'application/cloudevents-batch+json' },
      [1, 2, 3, 4],
      'request.too_large',
    ],
  ])('refuses %s as a whole', (_, headers, content, code) => {
    expect(() => parse(headers, content)).toThrow(expect.objectContaining({ code }));
  });

  it('takes an attribute that is null as not set', () => {
    const sent = { ...event('1'), subject: null, time: null, data: null };
    expect(parse({ 'content-type': 'application/cloudevents+json' }, sent)).toEqual([
      event('1', { time: '2026-06-01T00:00:00.000Z', data: null }),
    ]);
  });

  it('refuses data that comes as a header', () => {
    expect(parse({ 'ce-specversion': '1.0', 'ce-data': 'x' }, '')).toEqual([
      expect.objectContaining({ code: 'events.invalid' }),
    ]);
  });

  it('names the limit that an event is over', () => {
    const [refused] = parse(
      { 'content-type': 'application/cloudevents+json' },
      event('1', { data: 'x'.repeat(600) }),
    );
    expect(refused).toMatchObject({
      code: 'events.payload_too_large',
      extensions: { limitName: 'eventBytesMax', limit: 500 },
    });
  });
});
