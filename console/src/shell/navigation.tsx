import { Box, Group, NavLink, Text } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { Link, useRouterState } from '@tanstack/react-router';
import { kpisQuery } from '../api/queries.ts';
import type { Me } from '../api/shapes.ts';
import { Badge } from '../display/badge.tsx';
import { count } from '../display/format.ts';
import type { Tone } from '../display/tone.ts';
import { DESTINATIONS } from './destinations.ts';

export function Navigation({ me, onNavigate }: { me: Me; onNavigate: () => void }) {
  const path = useRouterState({ select: ({ location }) => location.pathname });
  const kpis = useQuery({ ...kpisQuery, enabled: me.permissions.includes('runs.read') });
  const marks: Partial<Record<string, { value: number | undefined; tone: Tone }>> = {
    '/inbox': { value: kpis.data?.tasksOpen, tone: 'active' },
    '/events': { value: kpis.data?.events.deadLetters, tone: 'bad' },
    '/runs': { value: kpis.data?.runs.byStatus.failed, tone: 'bad' },
  };
  return (
    <Box component="nav" aria-label="Main">
      {DESTINATIONS.filter(({ permission }) => me.permissions.includes(permission)).map(
        ({ to, label, icon: Icon }) => {
          const active = to === '/' ? path === '/' : path.startsWith(to);
          const mark = marks[to];
          return (
            <NavLink
              key={to}
              component={Link}
              to={to}
              onClick={onNavigate}
              active={active}
              aria-current={active ? 'page' : undefined}
              variant="subtle"
              my={2}
              style={{
                borderRadius: 8,
                ...(active ? { background: 'var(--active-bg)', color: 'var(--active-fg)' } : {}),
              }}
              leftSection={<Icon size={19} stroke={1.7} aria-hidden />}
              label={
                <Group justify="space-between" wrap="nowrap">
                  <Text size="sm" fw={active ? 600 : 500}>
                    {label}
                  </Text>
                  {mark?.value ? <Badge tone={mark.tone}>{count(mark.value)}</Badge> : null}
                </Group>
              }
            />
          );
        },
      )}
    </Box>
  );
}
