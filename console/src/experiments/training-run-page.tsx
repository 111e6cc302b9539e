import { Group, Stack, Text } from '@mantine/core';
import { useInfiniteQuery, useQuery } from '@tanstack/react-query';
import { getRouteApi } from '@tanstack/react-router';
import {
  type TrainingRun,
  trainingRunPath,
  trainingRunQuery,
  trainingRunsQuery,
  type WholeTrainingRun,
} from '../api/experiments.ts';
import { StatusBadge } from '../display/badge.tsx';
import { CopyAs } from '../display/copy-as.tsx';
import { FactTable } from '../display/fact-table.tsx';
import { duration, shortId } from '../display/format.ts';
import { Id } from '../display/id.tsx';
import { PageLink } from '../display/link.tsx';
import { MoreButton } from '../display/more-button.tsx';
import { Page, Panel } from '../display/page.tsx';
import { Answer } from '../display/states.tsx';
import { Time } from '../display/time.tsx';
import { VersionLinks } from '../display/version-links.tsx';
import { MetricChart } from './metric-chart.tsx';
import { figure, STATUS } from './run-comparison.tsx';
import { TrainingFiles } from './training-files.tsx';

const route = getRouteApi('/experiments/runs/$id');
const PARENT = 'mlflow.parentRunId';
const NOTE = 'mlflow.note.content';

/** One training run: what it was given, how it came out, what it read and what it left behind. */
export function TrainingRunPage() {
  const { id } = route.useParams();
  const query = useQuery(trainingRunQuery(id));
  const run = query.data;
  return (
    <Page
      title={run?.name ?? shortId(id)}
      marks={run && <StatusBadge status={STATUS[run.status]} />}
      subtitle={run && <Circumstances run={run} />}
      actions={<CopyAs what="This training run" command={{ method: 'GET', path: trainingRunPath(id) }} />}
    >
      <Answer query={query}>{(told) => <Parts run={told} />}</Answer>
    </Page>
  );
}

function Circumstances({ run: { experiment, user, startedAt, endedAt } }: { run: WholeTrainingRun }) {
  return (
    <>
      Of the experiment{' '}
      <PageLink to="/experiments/$name" params={{ name: experiment.name }} size="sm">
        {experiment.name}
      </PageLink>
      {user && `, by ${user}`}
      {startedAt && ', '}
      <Time at={startedAt} />
      {startedAt && endedAt && `, ${duration(Date.parse(endedAt) - Date.parse(startedAt))}`}
    </>
  );
}

function Parts({ run }: { run: WholeTrainingRun }) {
  const { metric: wanted } = route.useSearch();
  const navigate = route.useNavigate();
  const metrics = Object.keys(run.metrics).sort();
  const metric = wanted !== undefined && metrics.includes(wanted) ? wanted : metrics[0];
  const given = Object.entries(run.params).sort(([a], [b]) => a.localeCompare(b));
  return (
    <Stack gap="md">
      <About run={run} />
      {metric !== undefined && (
        <>
          <MetricChart
            runs={[run]}
            metric={metric}
            metrics={metrics}
            onMetric={(next) =>
              void navigate({ search: (before) => ({ ...before, metric: next }), replace: true })
            }
          />
          <Panel title="Last values" padded={false}>
            <FactTable facts={Object.fromEntries(metrics.map((key) => [key, figure(run.metrics[key])]))} />
          </Panel>
        </>
      )}
      {given.length > 0 && (
        <Panel title="Parameters" padded={false}>
          <FactTable
            facts={Object.fromEntries(given.map(([key, value]) => [key, <Plain key={key} text={value} />]))}
          />
        </Panel>
      )}
      <Datasets run={run} />
      <TrainingFiles run={run} />
      <Within run={run} />
    </Stack>
  );
}

function Plain({ text }: { text: string }) {
  return (
    <Text size="sm" className="mono" style={{ overflowWrap: 'anywhere' }}>
      {text}
    </Text>
  );
}

/** What people wrote about it and where it comes from; what MLflow's clients note for themselves is left out. */
function About({ run: { id, tags, versions } }: { run: WholeTrainingRun }) {
  const { [NOTE]: note, [PARENT]: parent, 'aios.run': flowRun, ...others } = tags;
  const own = Object.entries(others).filter(([key]) => !/^(mlflow|aios)\./.test(key));
  return (
    <Panel title="About" padded={false}>
      <FactTable
        facts={{
          Id: <Id value={id} />,
          Note: note && <Plain text={note} />,
          Model: versions.length > 0 ? <VersionLinks to="/models/$name" versions={versions} /> : undefined,
          'Flow run': flowRun && (
            <PageLink to="/runs/$id" params={{ id: flowRun }} size="sm">
              {shortId(flowRun)}
            </PageLink>
          ),
          'Part of': parent && (
            <PageLink to="/experiments/runs/$id" params={{ id: parent }} size="sm">
              {shortId(parent)}
            </PageLink>
          ),
          ...Object.fromEntries(own.map(([key, value]) => [key, <Plain key={key} text={value} />])),
        }}
      />
    </Panel>
  );
}

function Datasets({ run: { datasets } }: { run: WholeTrainingRun }) {
  if (datasets.length === 0) return null;
  return (
    <Panel title="Datasets that it read" padded={false}>
      <table className="rows">
        <thead>
          <tr>
            <th>Name</th>
            <th>For</th>
            <th>Digest</th>
            <th>Source</th>
          </tr>
        </thead>
        <tbody>
          {datasets.map(({ name, digest, context, sourceType }) => (
            <tr key={`${name} ${digest} ${context}`}>
              <td>{name}</td>
              <td>{context}</td>
              <td className="mono">{digest}</td>
              <td>{sourceType}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </Panel>
  );
}

/** The runs that it began itself, such as the trials of a search. */
function Within({ run: { id, experiment } }: { run: WholeTrainingRun }) {
  const runs = useInfiniteQuery(trainingRunsQuery(experiment.name, { filter: `tags."${PARENT}" = '${id}'` }));
  const items: TrainingRun[] = runs.data?.pages.flatMap((page) => page.items) ?? [];
  if (items.length === 0) return null;
  return (
    <Panel title="Runs within it">
      <Stack gap="xs">
        {items.map(({ id: own, name, status }) => (
          <Group key={own} gap="sm">
            <PageLink
              to="/experiments/runs/$id"
              params={{ id: own }}
              size="sm"
              style={{ overflowWrap: 'anywhere' }}
            >
              {name}
            </PageLink>
            <StatusBadge status={STATUS[status]} />
          </Group>
        ))}
        <MoreButton query={runs}>More runs</MoreButton>
      </Stack>
    </Panel>
  );
}
