import { describe, expect, it } from 'vitest';
import { readDocument } from '../../../kernel/document.ts';
import type { AiosError } from '../../../kernel/errors.ts';
import { BRIDGE_PROTOCOLS } from '../protocols/protocols.ts';
import { bridgeKind } from './bridge-kind.ts';

const kind = bridgeKind({
  protocols: BRIDGE_PROTOCOLS,
  checkTemplate: (text) => {
    if (text.includes('${other')) throw new Error(`${text} is not allowed here`);
  },
});
const parse = (text: string) => kind.parse(readDocument(text, 'bridges/b.yaml'), new Map());
const faults = (text: string): string[] => {
  try {
    parse(text);
    return [];
  } catch (error) {
    return (error as AiosError).issues.map(({ file, line, message }) => `${file}:${line} ${message}`);
  }
};
const KAFKA = 'kafka: { brokers: [b:1], topic: t }';

describe('a bridge', () => {
  it('is a source or a sink of one protocol', () => {
    expect(parse(`name: b\nfrom:\n  ${KAFKA}`).name).toBe('b');
    expect(parse('name: b\nto:\n  amqp: { host: h, queue: q }\nformat: cloudevents').name).toBe('b');
  });

  it.each([
    ['neither direction', 'name: b', 1, /either `from` or `to`/],
    ['both directions', `name: b\nfrom:\n  ${KAFKA}\nto:\n  ${KAFKA}`, 4, /either `from` or `to`/],
    ['an unknown protocol', 'name: b\nfrom:\n  pigeon: {}', 3, /pigeon/],
    ['a setting that is missing', 'name: b\nfrom:\n  kafka: { brokers: [b:1] }', 3, /topic/],
    [
      'a setting that is unknown',
      'name: b\nfrom:\n  kafka: { brokers: [b:1], topic: t, tpoic: t }',
      3,
      /tpoic/,
    ],
    [
      'a password in the file',
      'name: b\nto:\n  amqp:\n    host: h\n    queue: q\n    password: p',
      6,
      /secrets/,
    ],
    [
      'an unknown variable',
      'name: b\nto:\n  amqp:\n    host: ${other.X}\n    queue: q',
      4,
      /not allowed here/,
    ],
    ['a queue and an exchange', 'name: b\nto:\n  amqp: { host: h, queue: q, exchange: e }', 3, /./],
    ['an expression that is none', `name: b\nfrom:\n  ${KAFKA}\nevents:\n  type: "'a"`, 5, /'a/],
    ['a mapping without a type', `name: b\nfrom:\n  ${KAFKA}\nevents:\n  id: key`, 4, /type/],
    ['a filter that is none', `name: b\nto:\n  ${KAFKA}\nfilter: data.`, 4, /data\./],
    [
      'a bound of what is not put aside',
      `name: b\nfrom:\n  ${KAFKA}\nerrors:\n  tolerance: none\n  deadLettersMax: 5`,
      6,
      /tolerance: all/,
    ],
    [
      'a tolerance of another kind',
      `name: b\nfrom:\n  ${KAFKA}\nerrors: { tolerance: some }`,
      4,
      /allowed values/,
    ],
    [
      'events of a sink',
      `name: b\nto:\n  ${KAFKA}\nevents:\n  type: "'a'"`,
      4,
      /belongs to a bridge with `from`/,
    ],
    ['types of a source', `name: b\nfrom:\n  ${KAFKA}\ntypes: [a]`, 4, /belongs to a bridge with `to`/],
  ])('is refused for %s, with the line', (_what, text, line, message) => {
    const found = faults(text);
    expect(
      found.some((fault) => fault.startsWith(`bridges/b.yaml:${line} `) && message.test(fault)),
      found.join('\n'),
    ).toBe(true);
  });
});
