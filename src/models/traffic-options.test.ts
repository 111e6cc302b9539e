import { describe, expect, it } from 'vitest';
import { readDocument } from '../kernel/document.ts';
import type { ModelDefinition } from './model-kind.ts';
import { modelKind } from './model-kind.ts';

const files = new Map([['models/m/m.onnx', { path: 'models/m/m.onnx', bytes: Buffer.from('model') }]]);

function parse(serving: string) {
  const text = `name: m\nfile: m.onnx\nserving:\n${serving.replaceAll(/^/gm, '  ')}`;
  const document = readDocument(text, 'models/m/model.yaml');
  return (modelKind({ onnx: {} }).parse(document, files).body as unknown as ModelDefinition).serving;
}

function faultsOf(serving: string): { path: string; line: number }[] {
  try {
    parse(serving);
    return [];
  } catch (error) {
    return (error as { issues: { path: string; line: number }[] }).issues;
  }
}

describe('what stands around the calls of a model', () => {
  it('is read from its definition', () => {
    const serving = parse(`cache: { ttlMs: 1000, entriesMax: 10, bytesMax: 100000 }
breaker: { errorRate: 0.5, slowMs: 100, slowRate: 0.2, windowMs: 1000, callsMin: 5, openMs: 50, probes: 2 }
fallback: [{ ref: previous }, { ref: 3 }, { model: rules, ref: champion }, { default: { results: { score: 0 } } }]
rateLimit: { perSecond: 0.5, burst: 3 }
log: { sample: 0.01, redact: [age] }`);
    expect(serving).toMatchObject({
      cache: { ttlMs: 1000 },
      breaker: { errorRate: 0.5, probes: 2 },
      fallback: [{ ref: 'previous' }, { ref: 3 }, { model: 'rules' }, { default: { results: { score: 0 } } }],
      rateLimit: { perSecond: 0.5, burst: 3 },
      log: { sample: 0.01, redact: ['age'] },
    });
  });

  it.each([
    ['a cache without a time', 'cache: {}', '/serving/cache'],
    ['a part above one', 'breaker:\n  errorRate: 50', '/serving/breaker/errorRate'],
    ['a rate of nothing', 'rateLimit:\n  perSecond: 0', '/serving/rateLimit/perSecond'],
    ['an unknown member', 'log: { sample: 1, hide: [age] }', '/serving/log/hide'],
    ['a step of nothing', 'fallback:\n  - { }', '/serving/fallback/0'],
    ['an answer of nothing', 'fallback:\n  - default: { }', '/serving/fallback/0'],
    [
      'more steps than a chain has',
      `fallback: [${Array(9).fill('{ ref: a }').join(', ')}]`,
      '/serving/fallback',
    ],
  ])('is refused with its place for %s', (_, serving, path) => {
    const faults = faultsOf(serving);
    expect(faults.map((fault) => fault.path)).toContainEqual(expect.stringMatching(`^${path}`));
    expect(faults[0]!.line).toBeGreaterThan(3);
  });
});
