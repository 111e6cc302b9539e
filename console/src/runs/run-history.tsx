import { Group, Stack, Text } from '@mantine/core';
import type { Run } from '../api/shapes.ts';
import { Badge, StatusBadge } from '../display/badge.tsx';
import { shortId } from '../display/format.ts';
import { PageLink } from '../display/link.tsx';
import { Panel } from '../display/page.tsx';
import { Time } from '../display/time.tsx';
import { Who } from '../display/who.tsx';

/** Where a run comes from and what became of it before: earlier attempts, the run it was forked from, its forks. Nothing for most. */
export function RunHistory({ run, shown }: { run: Run; shown: string | undefined }) {
  const { attempts, forkedFrom, forks } = run;
  if (attempts.length === 0 && !forkedFrom && forks.length === 0) return null;
  const params = { id: run.id };
  return (
    <Panel title="Before and beside">
      <Stack gap="xs">
        {attempts.map(({ attempt, status, endedAt, nextStep, nextBy }) => (
          <Group key={attempt} gap="xs">
            <PageLink to="/runs/$id" params={params} search={{ attempt: String(attempt) }} size="sm">
              Attempt {attempt}
            </PageLink>
            <StatusBadge status={status} />
            <Text size="sm" c="dimmed" component="div">
              ended <Time at={endedAt} />; <Who id={nextBy} /> had it done again{' '}
              {nextStep === '' ? 'from where it stood' : `from “${nextStep}”`}
            </Text>
          </Group>
        ))}
        {shown !== undefined && (
          <PageLink to="/runs/$id" params={params} size="sm">
            Back to the present attempt
          </PageLink>
        )}
        {forkedFrom && (
          <Text size="sm">
            Forked from{' '}
            <PageLink to="/runs/$id" params={{ id: forkedFrom.runId }} size="sm">
              {shortId(forkedFrom.runId)}
            </PageLink>{' '}
            at “{forkedFrom.step}”
          </Text>
        )}
        {forks.map((id) => (
          <Text size="sm" key={id}>
            Forked as{' '}
            <PageLink to="/runs/$id" params={{ id }} size="sm">
              {shortId(id)}
            </PageLink>
          </Text>
        ))}
      </Stack>
    </Panel>
  );
}

/** What the run is found by: a click finds the others. */
export function RunAttributes({ run }: { run: Run }) {
  const entries = Object.entries(run.attributes ?? {});
  if (entries.length === 0) return null;
  return (
    <Group gap={6}>
      {entries.map(([name, value]) => (
        <PageLink key={name} to="/runs" search={{ q: `${name}=${value}` }} size="sm" underline="never">
          <Badge tone="quiet">
            {name} {String(value)}
          </Badge>
        </PageLink>
      ))}
    </Group>
  );
}
