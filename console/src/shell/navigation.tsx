import { Box, Group, NavLink, Text } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { Link, useRouterState } from '@tanstack/react-router';
import { kpisQuery } from '../api/queries.ts';
import type { Me } from '../api/shapes.ts';
import { Badge } from '../display/badge.tsx';
import { count } from '../display/format.ts';
import type { Tone } from '../display/tone.ts';
import { DESTINATIONS } from './destinations.ts';

type Destination = (typeof DESTINATIONS)[number];

interface Mark {
  value: number | undefined;
  tone: Tone;
  /** What is counted, for those who hear it. */
  of: string;
}

/** Where one can go, in groups; what waits or failed is counted beside it. */
export function Navigation({ me, onNavigate }: { me: Me; onNavigate: () => void }) {
  const kpis = useQuery({ ...kpisQuery, enabled: me.permissions.includes('runs.read') });
  const marks: Partial<Record<string, Mark>> = {
    '/inbox': { value: kpis.data?.tasksOpen, tone: 'active', of: 'waiting' },
    '/events': { value: kpis.data?.events.deadLetters, tone: 'bad', of: 'dead letters' },
    '/runs': { value: kpis.data?.runs.byStatus.failed, tone: 'bad', of: 'failed' },
  };
  const open = DESTINATIONS.filter(({ permission }) => me.permissions.includes(permission));
  return (
    <Box component="nav" aria-label="Main">
      {[...Map.groupBy(open, ({ group }) => group)].map(([group, destinations]) => (
        <div key={group}>
          <div className="nav-group">{group}</div>
          {destinations.map((destination) => (
            <Destination
              key={destination.to}
              destination={destination}
              mark={marks[destination.to]}
              onNavigate={onNavigate}
            />
          ))}
        </div>
      ))}
    </Box>
  );
}

interface DestinationProps {
  destination: Destination;
  mark: Mark | undefined;
  onNavigate: () => void;
}

function Destination({ destination: { to, label, icon: Icon }, mark, onNavigate }: DestinationProps) {
  const path = useRouterState({ select: ({ location }) => location.pathname });
  const active = to === '/' ? path === '/' : path.startsWith(to);
  return (
    <NavLink
      component={Link}
      to={to}
      onClick={onNavigate}
      active={active}
      aria-current={active ? 'page' : undefined}
      variant="subtle"
      className="nav-link"
      leftSection={<Icon size={18} stroke={1.7} aria-hidden />}
      label={
        <Group justify="space-between" wrap="nowrap">
          <Text size="sm" fw={active ? 600 : 500}>
            {label}
          </Text>
          {mark?.value ? (
            <Badge tone={mark.tone}>
              {count(mark.value)}
              <span className="heard">{` ${mark.of}`}</span>
            </Badge>
          ) : null}
        </Group>
      }
    />
  );
}
