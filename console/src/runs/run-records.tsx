import { Grid, Text } from '@mantine/core';
import type { Pin, Run } from '../api/shapes.ts';
import { money, plainNumber } from '../display/format.ts';
import { Id } from '../display/id.tsx';
import { JsonView } from '../display/json-view.tsx';
import { LineageLink } from '../display/lineage-link.tsx';
import { PageLink } from '../display/link.tsx';
import { Panel } from '../display/page.tsx';
import { Empty } from '../display/states.tsx';
import { Time } from '../display/time.tsx';
import { Who } from '../display/who.tsx';

/** What is kept of a run: the versions it was made from, its costs, its audit entries, what came in and went out. */
export function RunRecords({ run }: { run: Run }) {
  return (
    <Grid gap="md">
      <Grid.Col span={{ base: 12, md: 6 }}>
        <Lineage run={run} />
      </Grid.Col>
      <Grid.Col span={{ base: 12, md: 6 }}>
        <Costs run={run} />
      </Grid.Col>
      <Grid.Col span={12}>
        <AuditEntries run={run} />
      </Grid.Col>
      <Grid.Col span={{ base: 12, md: 6 }}>
        <Panel title={run.event ? 'The event' : 'Input'}>
          <JsonView value={run.event ?? run.input} label="Input of the run" />
        </Panel>
      </Grid.Col>
      <Grid.Col span={{ base: 12, md: 6 }}>
        <Panel title="Output">
          <JsonView value={run.output} label="Output of the run" />
        </Panel>
      </Grid.Col>
    </Grid>
  );
}

function Lineage({ run }: { run: Run }) {
  return (
    <Panel
      title="Made from"
      aside={run.pins.length > 0 && <LineageLink node={`run:${run.id}`} />}
      padded={false}
    >
      {run.pins.length === 0 ? (
        <Empty title="Not yet">The versions that a run used are recorded when it ends.</Empty>
      ) : (
        <table className="rows">
          <tbody>
            {run.pins.map(({ kind, name, version, digest }) => (
              <tr key={`${kind} ${name}`}>
                <td>
                  <Text size="sm" c="dimmed">
                    {kind}
                  </Text>
                </td>
                <td>
                  <PinName kind={kind} name={name} version={version} />
                </td>
                <td className="number">v{version}</td>
                <td className="wide-only end">{digest && <Id value={digest} />}</td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </Panel>
  );
}

/** The name of what a run used, which leads to its page where it has one. */
function PinName({ kind, name, version }: Pick<Pin, 'kind' | 'name' | 'version'>) {
  const params = { name };
  if (kind === 'model')
    return (
      <PageLink to="/models/$name" params={params} search={{ version }} size="sm">
        {name}
      </PageLink>
    );
  if (kind !== 'contract' && kind !== 'feature-view') return <span className="anywhere">{name}</span>;
  return (
    <PageLink to={kind === 'contract' ? '/contracts/$name' : '/features/$name'} params={params} size="sm">
      {name}
    </PageLink>
  );
}

function Costs({ run }: { run: Run }) {
  return (
    <Panel
      title="Costs"
      aside={<Text className="number">{money(run.costMicroUsd ?? 0)}</Text>}
      padded={false}
    >
      {run.costs.length === 0 ? (
        <Empty title="Nothing was charged">
          Models, calls of other systems and people’s minutes appear here.
        </Empty>
      ) : (
        <table className="rows">
          <thead>
            <tr>
              <th>For</th>
              <th className="end">Quantity</th>
              <th className="end">Amount</th>
            </tr>
          </thead>
          <tbody>
            {run.costs.map(({ service, resource, quantity, unit, amountMicroUsd, at, stepKey }) => (
              <tr key={`${stepKey} ${service} ${resource} ${at}`}>
                <td>
                  {resource}{' '}
                  <Text span size="xs" c="dimmed">
                    {service}
                  </Text>
                </td>
                <td className="end number">
                  {plainNumber(quantity)} {unit}
                </td>
                <td className="end number">{money(amountMicroUsd)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </Panel>
  );
}

function AuditEntries({ run }: { run: Run }) {
  return (
    <Panel title="Audit entries" padded={false}>
      {run.audit.length === 0 ? (
        <Empty title="No entry yet">
          Decisions, actions and people’s answers are entered as they are committed.
        </Empty>
      ) : (
        <table className="rows">
          <thead>
            <tr>
              <th>Entry</th>
              <th>What</th>
              <th>By</th>
              <th className="wide-only">When</th>
              <th className="wide-only">Digest</th>
            </tr>
          </thead>
          <tbody>
            {run.audit.map(({ index, kind, action, actor, at, payloadDigest }) => (
              <tr key={index}>
                <td className="number">
                  <PageLink to="/audit" search={{ entry: String(index) }} size="sm">
                    {index}
                  </PageLink>
                </td>
                <td>
                  {action}{' '}
                  <Text span size="xs" c="dimmed">
                    {kind}
                  </Text>
                </td>
                <td>
                  <Who id={actor.id} />{' '}
                  <Text span size="xs" c="dimmed">
                    {actor.kind}
                  </Text>
                </td>
                <td className="wide-only">
                  <Time at={at} />
                </td>
                <td className="wide-only">
                  <Id value={payloadDigest} />
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </Panel>
  );
}
