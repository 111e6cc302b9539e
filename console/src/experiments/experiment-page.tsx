import { Stack, TextInput } from '@mantine/core';
import { keepPreviousData, useInfiniteQuery } from '@tanstack/react-query';
import { getRouteApi } from '@tanstack/react-router';
import { useEffect, useState } from 'react';
import { experimentPath, type TrainingRun, trainingRunsQuery } from '../api/experiments.ts';
import { withQuery } from '../api/request.ts';
import { CopyAs } from '../display/copy-as.tsx';
import { PageLink } from '../display/link.tsx';
import { MoreButton } from '../display/more-button.tsx';
import { Page, Panel } from '../display/page.tsx';
import { Answer, Empty } from '../display/states.tsx';
import { chosenRuns, columnsOf, nextOrder, orderedMetric, toggledRun } from './comparison.ts';
import { MetricChart } from './metric-chart.tsx';
import { RunComparison } from './run-comparison.tsx';

const route = getRouteApi('/experiments/$name');

/** The trainings of one experiment side by side, and one metric of the chosen ones over their steps. */
export function ExperimentPage() {
  const { name } = route.useParams();
  const { filter, order } = route.useSearch();
  const runs = useInfiniteQuery({
    ...trainingRunsQuery(name, { ...(filter ? { filter } : {}), ...(order ? { orderBy: order } : {}) }),
    placeholderData: keepPreviousData,
  });
  const options = [
    ...(filter ? [`--filter ${quoted(filter)}`] : []),
    ...(order ? [`--order ${quoted(order)}`] : []),
  ];
  return (
    <Page
      title={name}
      parent={
        <PageLink to="/experiments" size="sm">
          Experiments
        </PageLink>
      }
      subtitle="Training runs of this experiment. Click a column to sort by it."
      actions={
        <CopyAs
          what="These runs"
          command={{
            method: 'GET',
            path: withQuery(`${experimentPath(name)}/runs`, { filter, orderBy: order }),
            cli: ['experiments runs', quoted(name), ...options].join(' '),
          }}
        />
      }
    >
      <Stack gap="md">
        <Filter />
        <Answer query={runs}>
          {({ pages }) => <Runs runs={pages.flatMap(({ items }) => items)} isFiltered={Boolean(filter)} />}
        </Answer>
        <MoreButton query={runs}>More runs</MoreButton>
      </Stack>
    </Page>
  );
}

/** For a shell. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

function Filter() {
  const { filter = '' } = route.useSearch();
  const navigate = route.useNavigate();
  const [text, setText] = useState(filter);
  useEffect(() => setText(filter), [filter]);
  const apply = () => {
    const wanted = text.trim();
    if (wanted === filter) return;
    void navigate({ search: ({ filter: _, ...rest }) => (wanted ? { ...rest, filter: wanted } : rest) });
  };
  return (
    <TextInput
      label="Filter"
      placeholder="metrics.auc > 0.8 and params.depth = '6'"
      value={text}
      onChange={({ currentTarget }) => setText(currentTarget.value)}
      onKeyDown={({ key }) => key === 'Enter' && apply()}
      onBlur={apply}
      maw={480}
    />
  );
}

function Runs({ runs, isFiltered }: { runs: readonly TrainingRun[]; isFiltered: boolean }) {
  const { order, metric: wanted, runs: address } = route.useSearch();
  const navigate = route.useNavigate();
  const change = (next: { order?: string; metric?: string; runs?: string }) =>
    void navigate({ search: (before) => ({ ...before, ...next }), replace: true, resetScroll: false });
  if (runs.length === 0)
    return (
      <Panel>
        <Empty title={isFiltered ? 'No run matches' : 'No run yet'}>
          {isFiltered
            ? 'The filter is MLflow’s: comparisons joined by AND.'
            : 'Runs appear with the first thing that a training writes.'}
        </Empty>
      </Panel>
    );
  const metrics = columnsOf(runs, 'metrics').shown;
  const metric =
    (wanted !== undefined && metrics.includes(wanted) ? wanted : undefined) ??
    orderedMetric(order, metrics) ??
    metrics[0];
  const chosen = chosenRuns(address, runs);
  return (
    <>
      <Panel padded={false}>
        <RunComparison
          runs={runs}
          chosen={chosen}
          order={order}
          onToggle={(id) => change({ runs: toggledRun(chosen, id) })}
          onOrder={(part, key) => change({ order: nextOrder(order, part, key) })}
        />
      </Panel>
      {metric !== undefined && (
        <MetricChart
          runs={runs.filter(({ id }) => chosen.includes(id))}
          metric={metric}
          metrics={metrics}
          onMetric={(next) => change({ metric: next })}
        />
      )}
    </>
  );
}
