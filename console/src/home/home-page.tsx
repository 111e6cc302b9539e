import { Box, Grid, Group, SimpleGrid, Skeleton, Stack, Text } from '@mantine/core';
import { IconChartBar, IconInbox } from '@tabler/icons-react';
import { useInfiniteQuery, useQuery } from '@tanstack/react-query';
import type { ReactNode } from 'react';
import { kpisQuery, runsQuery, tasksQuery } from '../api/queries.ts';
import type { Kpis, Task } from '../api/shapes.ts';
import { count, duration, money, share } from '../display/format.ts';
import { PageLink } from '../display/link.tsx';
import { Page, Panel } from '../display/page.tsx';
import { RunTable } from '../display/run-table.tsx';
import { Answer, Empty } from '../display/states.tsx';
import { Time } from '../display/time.tsx';
import { OutcomeShares } from './outcome-shares.tsx';
import { RateChart } from './rate-chart.tsx';

const LATEST = 8;

export function HomePage() {
  const kpis = useQuery(kpisQuery);
  const runs = useInfiniteQuery(runsQuery({}, LATEST));
  return (
    <Page title="Home" subtitle="What was decided, what it cost, and what is waiting.">
      <Answer query={kpis} loading={<Figures />}>
        {(figures) => <Figures kpis={figures} />}
      </Answer>
      <Grid gap="md" className="level">
        <Grid.Col span={{ base: 12, md: 8 }}>
          <Panel title="Started in the last hour" aside={<PerMinute kpis={kpis.data} />}>
            <Answer query={kpis}>
              {({ series }) =>
                series.runsPerMinute.some(({ count: runs }) => runs > 0) ? (
                  <RateChart series={series.runsPerMinute} />
                ) : (
                  <Empty title="Nothing started in the last hour" icon={<IconChartBar size={28} />}>
                    Runs are counted here as they start, by the minute.
                  </Empty>
                )
              }
            </Answer>
          </Panel>
        </Grid.Col>
        <Grid.Col span={{ base: 12, md: 4 }}>
          <Waiting />
        </Grid.Col>
        <Grid.Col span={12}>
          <Panel
            title="Latest"
            padded={false}
            aside={
              <Group gap="md">
                <FailedRuns kpis={kpis.data} />
                <PageLink to="/runs" size="sm">
                  All runs
                </PageLink>
              </Group>
            }
          >
            <Answer query={runs}>
              {({ pages }) => <RunTable runs={pages[0]?.items.slice(0, LATEST) ?? []} empty={<NoRuns />} />}
            </Answer>
          </Panel>
        </Grid.Col>
      </Grid>
    </Page>
  );
}

/** To what failed, where anything did. */
function FailedRuns({ kpis }: { kpis: Kpis | undefined }) {
  if (!kpis?.runs.byStatus.failed) return null;
  return (
    <PageLink to="/runs" search={{ status: 'failed' }} size="sm" c="var(--bad-fg)">
      Failed runs
    </PageLink>
  );
}

function NoRuns() {
  return (
    <Empty title="Nothing has run yet">
      Start with a small project: <code className="mono">npx aios init my-project</code>
    </Empty>
  );
}

/** Without figures yet, as large as with them: nothing moves when they come. */
function Figures({ kpis }: { kpis?: Kpis }) {
  return (
    <SimpleGrid
      cols={{ base: 2, sm: 3, lg: 5 }}
      spacing="md"
      className="figures"
      {...(kpis ? {} : { role: 'status', 'aria-label': 'Loading' })}
    >
      <Figure
        name="Decided"
        value={kpis && count(kpis.decisions.total)}
        note={kpis ? <OutcomeShares byOutcome={kpis.decisions.byOutcome} /> : 'by outcome'}
      />
      <Figure
        name="Without a person"
        value={kpis && share(kpis.decisions.automatic, kpis.decisions.total)}
        note={kpis ? `${count(kpis.decisions.review)} by a person` : 'by a person'}
      />
      <Figure
        name="Cost of a decision"
        value={kpis && (kpis.decisions.total === 0 ? '–' : money(kpis.costPerDecisionMicroUsd))}
        note="people, models and systems"
      />
      <Figure
        name="Time to decide"
        value={kpis && (kpis.decisions.total === 0 ? '–' : duration(kpis.latencyMs.p50))}
        note={kpis && kpis.decisions.total > 0 ? `median; p95 ${duration(kpis.latencyMs.p95)}` : 'median'}
      />
      <Figure
        name="Waiting for a person"
        value={kpis && count(kpis.tasksOpen)}
        note={
          <PageLink to="/inbox" size="xs">
            Open the inbox
          </PageLink>
        }
      />
    </SimpleGrid>
  );
}

function Figure({ name, value, note }: { name: string; value: string | undefined; note: ReactNode }) {
  return (
    <Box className="panel" p="md">
      <Text size="sm" c="dimmed">
        {name}
      </Text>
      <Text className="number" fz={26} fw={650} lh={1.3}>
        {value ?? <Skeleton component="span" display="inline-block" height={22} width={70} />}
      </Text>
      <Text size="xs" c="dimmed" component="div" mt={2}>
        {note}
      </Text>
    </Box>
  );
}

function PerMinute({ kpis }: { kpis: Kpis | undefined }) {
  if (kpis === undefined) return null;
  const series = kpis.series.runsPerMinute;
  const total = series.reduce((sum, { count: runs }) => sum + runs, 0);
  return (
    <Text size="sm" c="dimmed" className="number">
      {count(total)} runs
    </Text>
  );
}

function Waiting() {
  const tasks = useQuery(tasksQuery('waiting', 6));
  return (
    <Panel title="Waiting for a person" padded={false}>
      <Answer query={tasks}>
        {({ items }) =>
          items.length === 0 ? (
            <Empty title="Nothing is waiting" icon={<IconInbox size={28} />}>
              Cases that a flow cannot decide alone come here.
            </Empty>
          ) : (
            <Stack gap={0}>
              {items.slice(0, 6).map((task) => (
                <WaitingTask key={task.id} task={task} />
              ))}
            </Stack>
          )
        }
      </Answer>
    </Panel>
  );
}

function WaitingTask({ task }: { task: Task }) {
  return (
    <Box px="md" py={9} style={{ borderTop: '1px solid var(--line)' }}>
      <Group justify="space-between" wrap="nowrap" gap="xs">
        <PageLink to="/inbox" search={{ task: task.id }} size="sm" fw={600} truncate>
          {task.title}
        </PageLink>
        <Text size="xs" c="dimmed">
          <Time at={task.createdAt} />
        </Text>
      </Group>
      <Text size="xs" c="dimmed" truncate>
        {typeof task.context.why === 'string' ? task.context.why : task.queueTitle}
      </Text>
    </Box>
  );
}
