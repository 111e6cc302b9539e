import { describe, expect, it } from 'vitest';
import { OFFICIAL_FACETS, officialFaults } from '../conformance/openlineage/official.ts';
import { FACET_SCHEMAS, facetUrl } from '../conformance/openlineage/schemas.ts';
import type { Json, JsonObject } from '../src/kernel/json.ts';
import { workEvents } from '../src/ledger/openlineage/work-events.ts';

describe('Events that are held to the official schemas of OpenLineage', () => {
  const [told] = workEvents(
    {
      ...{ id: 'bkf_1', job: 'backfill:orders', type: 'BACKFILL', state: 'ABORT', startedAt: 0, at: 1 },
      inputs: [],
      outputs: [{ node: 'feature-view:orders', version: '1' }],
    },
    { namespace: 'aios', databases: [] },
    '0.1.0',
  );

  it('have no fault as AIOS tells them', () => {
    expect(officialFaults(told as unknown as JsonObject)).toEqual([]);
  });

  it('are refused where something is wrong, in the event and in each facet that is held to them', () => {
    const broken = structuredClone(told) as unknown as { run: JsonObject; outputs: JsonObject[] };
    broken.run.runId = 'run_1';
    (broken.outputs[0] as JsonObject).name = 7;
    expect(officialFaults(broken as unknown as JsonObject)).toEqual(
      expect.arrayContaining([
        expect.stringContaining('/run/runId: must match format "uuid"'),
        expect.stringContaining('/outputs/0/name: must be string'),
      ]),
    );
    // A facet of the right name with nothing in it: those whose members may all be left out take that.
    const withFacets = (of: (path: string) => JsonObject) => {
      const facets = Object.fromEntries(Object.keys(FACET_SCHEMAS).map((path) => [path, of(path)]));
      return { ...told, run: { ...told!.run, facets } } as unknown as JsonObject;
    };
    const refused = (member: Json) =>
      officialFaults(
        withFacets((path) => ({
          ...Object.fromEntries(
            Object.keys(FACET_SCHEMAS[path]!.members).map((name) => [name.replace('?', ''), member]),
          ),
          ...{ _producer: 'urn:aios', _schemaURL: facetUrl(path) },
        })),
      );
    const names = new Set(refused([7]).map((fault) => /(\w+Facet)/.exec(fault)?.[1]));
    expect([...names].sort()).toEqual([...OFFICIAL_FACETS].sort());
  });
});
