import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readInference } from './infer-http.ts';
import { PlainInferences } from './plain-infer.ts';

/** As `readInference` reads it; undefined when that refuses. */
function whole(body: Buffer) {
  try {
    return readInference(body, undefined);
  } catch {
    return undefined;
  }
}

/** What a reader says of a body that has shown it the pattern twice. */
function taught(body: Buffer, asked = body) {
  const reader = new PlainInferences();
  expect(reader.read(body)).toBeUndefined();
  expect(reader.read(body)).toBeUndefined();
  return reader.read(asked);
}

const bodyOf = (data: readonly number[], { spaced = false, datatype = 'FP32', extra = {} } = {}) => {
  const inputs = [{ name: 'x', datatype, shape: [1, data.length], data }];
  const text = JSON.stringify({ ...extra, inputs });
  return Buffer.from(spaced ? text.replaceAll(',', ', ').replaceAll(':', ': ') : text);
};

describe('a plain inference', () => {
  it.each([
    ['a compact body', bodyOf([1, -0.5, 12.25, 0, 1e15 - 1 - 9e14, -0])],
    ['spaces as Python writes them', bodyOf([1, 2.5], { spaced: true })],
    ['FP64', bodyOf([0.1, 123456.789], { datatype: 'FP64' })],
    [
      'an id, parameters and outputs',
      bodyOf([1], {
        extra: { id: 'a', parameters: { priority: 2, timeout: 5000 }, outputs: [{ name: 'y' }] },
      }),
    ],
    [
      'data before the shape',
      Buffer.from('{"inputs":[{"data":[1,2],"name":"x","datatype":"FP32","shape":[2]}],"id":"z"}'),
    ],
  ])('with %s is read as whole', (_name, body) => expect(taught(body)).toEqual(whole(body)));

  it.each([
    ['an exponent', '[1e3]'],
    ['a zero before', '[01]'],
    ['a point without digits', '[1.]'],
    ['nothing before the point', '[.5]'],
    ['a sign alone', '[-]'],
    ['a plus', '[+1]'],
    ['more digits than are exact', '[0.12345678901234567]'],
    ['one too many', '[1,2]'],
    ['none', '[]'],
    ['a comma at the end', '[1,]'],
    ['a text', '["1"]'],
    ['a nested list', '[[1]]'],
    ['null', '[null]'],
    ['NaN', '[NaN]'],
    ['a line end', '[1\n]'],
    ['something behind', '[1],"a":1'],
  ])('leaves %s to who reads it whole', (_name, list) => {
    const body = bodyOf([7]);
    expect(taught(body, Buffer.from(body.toString().replace('[7]', list)))).toBeUndefined();
  });

  it.each([
    [
      'two inputs',
      '{"inputs":[{"name":"x","datatype":"FP32","shape":[1],"data":[1]},{"name":"z","datatype":"FP32","shape":[1],"data":[1]}]}',
    ],
    [
      'another member of that name',
      '{"parameters":{"data":[1]},"inputs":[{"name":"x","datatype":"FP32","shape":[0],"data":[]}]}',
    ],
    [
      'a key that ends so',
      '{"inputs":[{"name":"x","datatype":"FP32","shape":[1],"a\\"data":[1],"data":[2]}]}',
    ],
    [
      'the text in a text',
      '{"id":"{\\"data\\":[1]","inputs":[{"name":"x","datatype":"FP32","shape":[1],"data":[2]}]}',
    ],
    ['the member twice', '{"inputs":[{"name":"x","datatype":"FP32","shape":[1],"data":[1],"data":[2]}]}'],
    ['an escaped key', '{"inputs":[{"name":"x","datatype":"FP32","shape":[1],"data":[1],"d\\u0061ta":[2]}]}'],
    ['integers', '{"inputs":[{"name":"x","datatype":"INT64","shape":[1],"data":[1]}]}'],
    [
      'a text that is not ASCII',
      '{"id":"ü","inputs":[{"name":"x","datatype":"FP32","shape":[1],"data":[1]}]}',
    ],
  ])('learns nothing from %s', (_name, text) => expect(taught(Buffer.from(text))).toBeUndefined());

  it('is what the whole reader says, to the bit, however numbers are written and bodies are broken', () => {
    const numbers = fc.array(
      fc.oneof(
        { weight: 1, arbitrary: fc.double({ noNaN: true, noDefaultInfinity: true, min: -1e6, max: 1e6 }) },
        { weight: 1, arbitrary: fc.float({ noNaN: true, noDefaultInfinity: true }) },
        { weight: 5, arbitrary: fc.integer() },
        { weight: 30, arbitrary: fc.integer({ min: -99_999, max: 99_999 }).map((value) => value / 10_000) },
      ),
      { minLength: 1, maxLength: 8 },
    );
    const breaks = fc.array(fc.tuple(fc.nat(300), fc.constantFrom(...'0123456789.,-+e[]{}" :\\aEN\n')), {
      maxLength: 3,
    });
    let read = 0;
    fc.assert(
      fc.property(
        numbers,
        fc.boolean(),
        breaks,
        fc.constantFrom('FP32', 'FP64'),
        (values, spaced, at, datatype) => {
          const reader = new PlainInferences();
          const first = bodyOf(
            values.map((_, i) => i),
            { spaced, datatype },
          );
          reader.read(first);
          reader.read(first);
          const body = bodyOf(values, { spaced, datatype });
          for (const [place, character] of at) body[place % body.length] = character.charCodeAt(0);
          const plain = reader.read(body);
          if (!plain) return;
          read++;
          expect(plain).toEqual(whole(body));
        },
      ),
      { numRuns: 3000 },
    );
    expect(read).toBeGreaterThan(500);
  });

  it('keeps no more patterns than a few', () => {
    const reader = new PlainInferences();
    const body = bodyOf([1]);
    for (let i = 0; i < 2; i++) reader.read(body);
    expect(reader.read(body)).toBeDefined();
    for (let i = 0; i < 1000; i++) reader.read(bodyOf([1], { extra: { id: String(i) } }));
    expect(reader.read(body)).toBeUndefined();
  });
});
