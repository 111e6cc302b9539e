import { Grid, Group, SimpleGrid, Stack, Text } from '@mantine/core';
import { useQueries, useQuery } from '@tanstack/react-query';
import { getRouteApi } from '@tanstack/react-router';
import { useRef } from 'react';
import { namesQuery } from '../api/definitions.ts';
import { modelQuery } from '../api/queries.ts';
import { activeOf, promotionsQuery, rolloutQuery, rolloutsQuery } from '../api/rollouts.ts';
import type { Model, ModelVersion } from '../api/shapes.ts';
import { Badge, StatusBadge } from '../display/badge.tsx';
import { ChangeLink } from '../display/change-link.tsx';
import { CopyAs } from '../display/copy-as.tsx';
import { bytes, count, duration, plainNumber } from '../display/format.ts';
import { Id } from '../display/id.tsx';
import { LineageLink } from '../display/lineage-link.tsx';
import { PageLink } from '../display/link.tsx';
import { Markdown } from '../display/markdown.tsx';
import { Page, Panel } from '../display/page.tsx';
import { Answer, Empty, Loading } from '../display/states.tsx';
import { Time } from '../display/time.tsx';
import { VersionLinks } from '../display/version-links.tsx';
import { Who } from '../display/who.tsx';
import { FlowOfVersion } from './flow-of-version.tsx';
import { guardFigures } from './guard-figures.ts';
import { ModelRequests } from './model-requests.tsx';
import { PromoteButton } from './promote-button.tsx';
import { QuantizationFigures } from './quantization-figures.tsx';
import { PastRollouts, Rollouts } from './rollouts.tsx';
import { WaitingPromotions } from './waiting-promotions.tsx';

const route = getRouteApi('/models/$name');

function Up() {
  return (
    <PageLink to="/models" size="sm">
      Models
    </PageLink>
  );
}

export function ModelPage() {
  const { name } = route.useParams();
  const { version: wanted } = route.useSearch();
  const model = useQuery(modelQuery(name));
  // A model that was registered by a call alone has no definition.
  const isDefined = useQuery(namesQuery('model')).data?.items.some((each) => each.name === name);
  const isRead = useIsHeadRead(name);
  const shown = model.data;
  if (shown === undefined || !isRead)
    return (
      <Page title={name} parent={<Up />}>
        <Answer query={model}>{() => <Loading />}</Answer>
      </Page>
    );
  const version =
    shown.versions.find(({ version: number }) => String(number) === wanted) ??
    shown.versions.find(({ version: number }) => number === shown.aliases.champion) ??
    shown.versions[0];
  return (
    <Page
      title={shown.name}
      parent={<Up />}
      marks={Object.entries(shown.aliases).map(([alias, number]) => (
        <Badge key={alias} tone="good">
          {alias} v{number}
        </Badge>
      ))}
      subtitle={version?.card.task}
      actions={
        <>
          <LineageLink node={`model:${name}`} />
          {isDefined && <ChangeLink kind="model" name={name} />}
          <CopyAs what="This model" command={{ method: 'GET', path: `/api/v1/models/${name}` }} />
        </>
      }
    >
      <WaitingPromotions model={name} />
      <Rollouts model={name} />
      <FallbackWarnings model={shown} />
      <Versions model={shown} selected={version?.version} />
      <PastRollouts model={name} />
      {version && <FlowOfVersion version={version} />}
      {version && <Version model={shown} version={version} />}
      <ModelRequests model={name} />
    </Page>
  );
}

/** Whether all that stands above the versions has been answered: what came later would push the page down under its reader. */
function useIsHeadRead(name: string): boolean {
  const names = useQuery(namesQuery('model'));
  const promotions = useQuery(promotionsQuery(name));
  const rollouts = useQuery(rolloutsQuery(name));
  const reports = useQueries({ queries: activeOf(rollouts.data).map(rolloutQuery) });
  const isRead = [names, promotions, rollouts, ...reports].every(
    ({ isPending, failureCount }) => !isPending || failureCount > 0,
  );
  // A rollout that begins later does not take the page away from who reads it.
  const drawn = useRef<string>(undefined);
  if (isRead) drawn.current = name;
  return drawn.current === name;
}

/** As long as they are so: most are made by an alias that moved, perhaps by a schedule that nobody watched. */
function FallbackWarnings({ model: { warnings = [] } }: { model: Model }) {
  if (warnings.length === 0) return null;
  return (
    <Panel title="Fallbacks that could not answer" aside={<Badge tone="attention">look here</Badge>}>
      <Stack gap="xs">
        {warnings.map(({ path, message }) => (
          <Text key={`${path} ${message}`} size="sm" className="anywhere">
            {message}
          </Text>
        ))}
      </Stack>
    </Panel>
  );
}

function Versions({ model, selected }: { model: Model; selected: number | undefined }) {
  const navigate = route.useNavigate();
  const choose = (version: number) =>
    void navigate({ search: (before) => ({ ...before, version: String(version) }), replace: true });
  return (
    <Panel title="Versions" padded={false}>
      <table className="rows">
        <thead>
          <tr>
            <th>Version</th>
            <th>State</th>
            <th className="wide-only">Registered</th>
            <th className="wide-only">Digest</th>
            <th className="wide-only end">Size</th>
            <th className="end">Requests</th>
            <th>
              <span className="skip">Actions</span>
            </th>
          </tr>
        </thead>
        <tbody>
          {model.versions.map((version) => (
            <tr
              key={version.version}
              data-clickable="true"
              aria-selected={version.version === selected}
              onClick={() => choose(version.version)}
            >
              <td>
                <button type="button" className="row-button" onClick={() => choose(version.version)}>
                  v{version.version}
                </button>
              </td>
              <td>
                <StatusBadge status={version.status} />
              </td>
              <td className="wide-only">
                <Time at={version.createdAt} /> by <Who id={version.createdBy} />
              </td>
              <td className="wide-only">
                <Id value={version.digest} />
              </td>
              <td className="wide-only end number">{bytes(version.sizeBytes)}</td>
              <td className="end number">{count(version.serving?.requests ?? 0)}</td>
              <td className="end">
                <PromoteButton model={model} version={version.version} />
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </Panel>
  );
}

function TrainedOn({ datasets }: Pick<ModelVersion, 'datasets'>) {
  if (datasets.length === 0) return null;
  return (
    <Panel title="Trained on">
      <VersionLinks to="/datasets/$name" versions={datasets} />
    </Panel>
  );
}

function Version({ model, version }: { model: Model; version: ModelVersion }) {
  const { card } = version;
  return (
    <Grid gap="md">
      <Grid.Col span={{ base: 12, md: 7 }}>
        <Panel title={`Card of v${version.version}`}>
          {card.markdown ? (
            <Markdown text={card.markdown} />
          ) : (
            <Empty title="No card">
              A card says what a model was made from and what it cannot do. It comes with the model when it is
              registered.
            </Empty>
          )}
        </Panel>
      </Grid.Col>
      <Grid.Col span={{ base: 12, md: 5 }}>
        <Stack gap="md">
          <Serving model={model} version={version} />
          <Metrics metrics={card.metrics} />
          {card.quantization && <QuantizationFigures quantization={card.quantization} />}
          <TrainedOn datasets={version.datasets} />
          <Signature version={version} />
        </Stack>
      </Grid.Col>
    </Grid>
  );
}

function Serving({ model, version }: { model: Model; version: ModelVersion }) {
  const { serving } = version;
  if (!serving)
    return (
      <Panel title="Serving">
        <Text size="sm" c="dimmed">
          This version is not loaded. It is, when an alias points at it or somebody asks for it.
        </Text>
      </Panel>
    );
  const figures = [
    ['Requests', count(serving.requests)],
    ['Errors', count(serving.errors)],
    ['p50', duration(serving.p50Ms)],
    ['p95', duration(serving.p95Ms)],
    ['Waited, p90', duration(serving.queueP90Ms)],
    ['In line', count(serving.queued)],
    ['Rows in a batch', plainNumber(serving.meanBatch)],
    ['Best batch', serving.bestBatch === 1 ? 'off' : count(serving.bestBatch)],
    ['Replicas', count(serving.replicas)],
    ['Memory', serving.residentBytes === 0 ? '–' : bytes(serving.residentBytes)],
    ['Refused', count(serving.refused)],
    ['Restarts', count(serving.restarts)],
    ...guardFigures(serving),
  ] as const;
  return (
    <Panel
      title="Serving"
      aside={
        <CopyAs
          what="Its statistics"
          command={{ method: 'GET', path: `/v2/models/${model.name}/versions/${version.version}` }}
        />
      }
    >
      <SimpleGrid cols={{ base: 2, xs: 4 }} spacing="sm">
        {figures.map(([name, value]) => (
          <div key={name}>
            <Text size="xs" c="dimmed">
              {name}
            </Text>
            <Text fw={600} className="number">
              {value}
            </Text>
          </div>
        ))}
      </SimpleGrid>
      <LastOpening circuit={serving.circuit} />
    </Panel>
  );
}

/** Of the process that answered. */
function LastOpening({ circuit }: Pick<NonNullable<ModelVersion['serving']>, 'circuit'>) {
  if (!circuit?.openedAt) return null;
  return (
    <Text size="sm" mt="sm" className="anywhere">
      The circuit opened <Time at={circuit.openedAt} />: {circuit.openedBy}.
      {circuit.closedAt && (
        <>
          {' '}
          It closed <Time at={circuit.closedAt} />.
        </>
      )}
    </Text>
  );
}

function Metrics({ metrics }: { metrics: Record<string, number> | undefined }) {
  if (!metrics || Object.keys(metrics).length === 0) return null;
  return (
    <Panel title="Measured">
      <dl className="facts">
        {Object.entries(metrics).map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd className="number">{plainNumber(value)}</dd>
          </div>
        ))}
      </dl>
    </Panel>
  );
}

function Signature({ version: { signature, card } }: { version: ModelVersion }) {
  return (
    <Panel title="Signature">
      <Stack gap="xs">
        {(['inputs', 'outputs'] as const).map((side) =>
          signature[side].map(({ name, datatype, shape }) => (
            <Group key={`${side} ${name}`} gap={8}>
              <Badge tone={side === 'inputs' ? 'active' : 'good'}>{side === 'inputs' ? 'in' : 'out'}</Badge>
              <span className="mono">
                {name}: {datatype}[{shape.map((size) => (size < 0 ? 'n' : size)).join(', ')}]
              </span>
            </Group>
          )),
        )}
        {signature.features && (
          <Text size="sm" c="dimmed">
            Features, in order: <span className="mono">{signature.features.join(', ')}</span>
          </Text>
        )}
        {card.license && (
          <Text size="sm" c="dimmed">
            {card.license}
            {card.data ? ` · data: ${card.data}` : ''}
          </Text>
        )}
      </Stack>
    </Panel>
  );
}
