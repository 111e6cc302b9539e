import { describe, expect, it } from 'vitest';
import type { Json } from '../../kernel/json.ts';
import { limitsFrom } from '../../kernel/limits.ts';
import { readEvent } from './event.ts';
import { lineageOfEvent } from './inbound.ts';

const naming = { namespace: 'aios', databases: ['postgres://db:5432/shop'] };
const run = { runId: '0199b0c4-0000-7000-8000-000000000000' };
const base = {
  eventTime: '2026-01-02T03:04:05Z',
  producer: 'https://example.org/airflow',
  job: { namespace: 'airflow', name: 'daily' },
};
const facet = (rest: object) => ({
  _producer: 'https://example.org',
  _schemaURL: 'https://example.org/x.json',
  ...rest,
});
const read = (event: object, overrides = '') =>
  lineageOfEvent(readEvent(event as Json), naming, limitsFrom(overrides));
const texts = ({ edges }: ReturnType<typeof read>) => edges.map(({ from, to }) => `${from} > ${to}`);

describe('an event of another system', () => {
  it('of a run puts its job between its datasets, and columns where they are told', () => {
    const lineage = read({
      ...base,
      eventType: 'COMPLETE',
      run,
      inputs: [
        {
          namespace: 's3://lake',
          name: 'raw',
          facets: { schema: facet({ fields: [{ name: 'total', type: 'double' }] }) },
        },
      ],
      outputs: [
        {
          namespace: 'postgres://db:5432',
          name: 'shop.public.spend',
          facets: {
            columnLineage: facet({
              fields: { spend: { inputFields: [{ namespace: 's3://lake', name: 'raw', field: 'total' }] } },
              dataset: [{ namespace: 's3://lake', name: 'raw', field: 'day' }],
            }),
          },
        },
      ],
    });
    expect(texts(lineage)).toEqual([
      'external-dataset:s3://lake/raw > column:s3://lake/raw#total',
      'external-dataset:s3://lake/raw > job:airflow/daily',
      'job:airflow/daily > table:public.spend',
      'table:public.spend > column:public.spend#spend',
      'column:s3://lake/raw#total > column:public.spend#spend',
      'external-dataset:s3://lake/raw > column:s3://lake/raw#day',
      'column:s3://lake/raw#day > table:public.spend',
    ]);
    expect(lineage.nodes).toContainEqual({ id: 'column:s3://lake/raw#total', type: 'double' });
    expect(lineage).toMatchObject({ source: 'openlineage/job:airflow/daily', adds: true });
  });

  it('names what is ours by our namespace', () => {
    const features = { namespace: 'aios', name: 'feature-view:orders' };
    const lineage = read({
      ...base,
      inputs: [features],
      outputs: [
        {
          ...{ namespace: 'bigquery', name: 'report' },
          facets: {
            columnLineage: facet({ fields: { spend: { inputFields: [{ ...features, field: 'spend' }] } } }),
          },
        },
      ],
    });
    expect(texts(lineage)).toContain('feature-view:orders > job:airflow/daily');
    expect(texts(lineage)).toContain('feature:orders.spend > column:bigquery/report#spend');
    expect(lineage.adds).toBe(false); // a job as it is written says all of it
  });

  it('of a dataset is no job', () => {
    const { job: _, ...event } = base;
    const lineage = read({
      ...event,
      dataset: {
        namespace: 's3://lake',
        name: 'raw',
        facets: { schema: facet({ fields: [{ name: 'a' }] }) },
      },
    });
    expect(texts(lineage)).toEqual(['external-dataset:s3://lake/raw > column:s3://lake/raw#a']);
  });

  it.each([
    ['nothing in it', {}, ''],
    ['no job', { job: undefined, run }, '/job'],
    ['a run without an id', { run: {} }, '/run/runId'],
    ['an id that is none', { run: { runId: 'x' } }, '/run/runId'],
    ['a state that is none', { run, eventType: 'DONE' }, '/eventType'],
    ['a dataset without a name', { inputs: [{ namespace: 'a' }] }, '/inputs/0/name'],
    ['a time that is none', { eventTime: 'today' }, '/eventTime'],
    ['a dataset and a job', { dataset: { namespace: 'a', name: 'b' } }, '/dataset'],
  ])('with %s is refused with the place', (_, change, path) => {
    const event = path === '' ? {} : { ...base, ...change };
    const fault = (() => {
      try {
        read(event);
      } catch (error) {
        return error;
      }
      return undefined;
    })();
    expect(fault).toMatchObject({ code: 'lineage.invalid_event' });
    expect((fault as { issues: { path: string }[] }).issues.map((issue) => issue.path).join()).toContain(
      path.split('/')[1] ?? '',
    );
  });

  it('takes null for what is not there, and is bounded', () => {
    expect(
      texts(
        read({ ...base, run: null, inputs: null, outputs: [{ namespace: 'a', name: 'b', facets: null }] }),
      ),
    ).toHaveLength(1);
    const many = { ...base, inputs: [1, 2, 3].map((n) => ({ namespace: 'a', name: `d${n}` })) };
    expect(() => read(many, 'lineageEventEdgesMax=2')).toThrow(/3 edges/);
    expect(() => read({ ...base, inputs: [{ namespace: 'a', name: 'x'.repeat(700) }] })).toThrow(/too long/);
  });
});
