import { Grid, Stack, Text } from '@mantine/core';
import type { Run } from '../api/shapes.ts';
import { DefinitionLink } from '../display/definition-link.tsx';
import { money, plainNumber } from '../display/format.ts';
import { Id } from '../display/id.tsx';
import { JsonView } from '../display/json-view.tsx';
import { LineageLink } from '../display/lineage-link.tsx';
import { PageLink } from '../display/link.tsx';
import { Panel } from '../display/page.tsx';
import { Empty } from '../display/states.tsx';
import { Time } from '../display/time.tsx';
import { Who } from '../display/who.tsx';

/** What is kept of a run: the versions it was made from, its audit entries and costs; beside them what went out and came in. */
export function RunRecords({ run }: { run: Run }) {
  return (
    <Grid gap="md">
      <Grid.Col span={{ base: 12, md: 6 }}>
        <Stack gap="md">
          <Lineage run={run} />
          <AuditEntries run={run} />
          <Costs run={run} />
        </Stack>
      </Grid.Col>
      <Grid.Col span={{ base: 12, md: 6 }}>
        <Stack gap="md">
          <Panel title="Output">
            <JsonView value={run.output} label="Output of the run" />
          </Panel>
          <Panel title={run.event ? 'The event' : 'Input'}>
            <JsonView value={run.event ?? run.input} label="Input of the run" />
          </Panel>
        </Stack>
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
                  <DefinitionLink kind={kind} name={name} version={version} />
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

function Costs({ run }: { run: Run }) {
  return (
    <Panel
      title="Costs"
      aside={<Text className="number">{money(run.costMicroUsd ?? 0)}</Text>}
      padded={false}
    >
      {run.costs.length === 0 ? (
        <Empty title="No costs">
          The costs of models, calls to other systems and people’s time appear here.
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
          Decisions, actions and people’s answers appear here as they are committed.
        </Empty>
      ) : (
        <table className="rows">
          <thead>
            <tr>
              <th>Entry</th>
              <th>What</th>
              <th>By</th>
              <th className="wide-only">When</th>
            </tr>
          </thead>
          <tbody>
            {run.audit.map(({ index, kind, action, actor, at }) => (
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
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </Panel>
  );
}
