import { useComputedColorScheme, useMantineColorScheme } from '@mantine/core';
import { Spotlight, type SpotlightActionData } from '@mantine/spotlight';
import {
  IconBrain,
  IconCalendarTime,
  IconInbox,
  IconMoon,
  IconRoute,
  IconSearch,
  IconStack2,
  IconSun,
} from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { useNavigate } from '@tanstack/react-router';
import { useState } from 'react';
import { modelsQuery, tasksQuery } from '../api/queries.ts';
import { get } from '../api/request.ts';
import type { Me, Page, RunSummary, Task } from '../api/shapes.ts';
import { DESTINATIONS } from './destinations.ts';

/** Ctrl K: go to a page, a run, a model or a task, by a few letters of its name. */
export function CommandPalette({ me }: { me: Me }) {
  const [query, setQuery] = useState('');
  const pages = usePages(me);
  const found = useFound(me, query.trim());
  return (
    <Spotlight
      actions={[...pages, ...found]}
      query={query}
      onQueryChange={setQuery}
      shortcut={['mod + K', '/']}
      limit={12}
      nothingFound="Nothing has that name"
      highlightQuery
      scrollable
      maxHeight={420}
      searchProps={{
        leftSection: <IconSearch size={18} aria-hidden />,
        placeholder: 'Search or go to …',
        'aria-label': 'Search or go to',
      }}
    />
  );
}

function usePages(me: Me): SpotlightActionData[] {
  const navigate = useNavigate();
  const { setColorScheme } = useMantineColorScheme();
  const dark = useComputedColorScheme('light') === 'dark';
  const pages = DESTINATIONS.filter(({ permission }) => me.permissions.includes(permission)).map(
    ({ to, label, about, icon: Icon }) => ({
      id: to,
      label,
      description: about,
      leftSection: <Icon size={20} stroke={1.7} />,
      onClick: () => void navigate({ to }),
    }),
  );
  return [
    ...pages,
    ...(me.permissions.includes('runs.read')
      ? [
          {
            id: 'run-queues',
            label: 'Queues of runs',
            description: 'What waits for its turn, and how much of it',
            leftSection: <IconStack2 size={20} stroke={1.7} />,
            onClick: () => void navigate({ to: '/runs/queues' }),
          },
          {
            id: 'schedules',
            label: 'Schedules',
            description: 'What starts by time, and when next',
            leftSection: <IconCalendarTime size={20} stroke={1.7} />,
            onClick: () => void navigate({ to: '/runs/schedules' }),
          },
        ]
      : []),
    {
      id: 'scheme',
      label: dark ? 'Change to light' : 'Change to dark',
      leftSection: dark ? <IconSun size={20} /> : <IconMoon size={20} />,
      onClick: () => setColorScheme(dark ? 'light' : 'dark'),
    },
  ];
}

const SEARCH_CHARS_MIN = 3;
const CASES_MAX = 4;

function useFound(me: Me, query: string): SpotlightActionData[] {
  const navigate = useNavigate();
  const asked = query.length >= SEARCH_CHARS_MIN;
  const can = (permission: string) => asked && me.permissions.includes(permission);
  const runs = useQuery({
    queryKey: ['found-runs', query],
    queryFn: () => get<Page<RunSummary>>('/api/v1/runs', { q: query, limit: 5 }),
    enabled: can('runs.read'),
    placeholderData: (before) => before,
  });
  const models = useQuery({ ...modelsQuery, enabled: can('models.read') });
  const tasks = useQuery({ ...tasksQuery('waiting'), enabled: can('tasks.read') });
  if (!asked) return [];
  return [
    ...(models.data?.items ?? []).map(({ name }) => ({
      id: `model ${name}`,
      label: name,
      description: 'Model',
      leftSection: <IconBrain size={20} stroke={1.7} />,
      onClick: () => void navigate({ to: '/models/$name', params: { name } }),
    })),
    ...named(tasks.data?.items ?? [], query).map(({ id, title, queueTitle }) => ({
      id,
      label: title,
      description: queueTitle,
      leftSection: <IconInbox size={20} stroke={1.7} />,
      onClick: () => void navigate({ to: '/inbox', search: { task: id } }),
    })),
    ...(runs.data?.items ?? []).map(({ id, subject, workflow, status, outcome }) => ({
      id,
      label: subject ?? id,
      description: [workflow, status, outcome].filter(Boolean).join(' · '),
      keywords: [id, query],
      leftSection: <IconRoute size={20} stroke={1.7} />,
      onClick: () => void navigate({ to: '/runs/$id', params: { id } }),
    })),
  ];
}

/** Cases are many: all that fit would leave no room for what else has the name. */
function named(tasks: readonly Task[], query: string): readonly Task[] {
  const word = query.toLowerCase();
  const has = (text: string) => text.toLowerCase().includes(word);
  return tasks.filter(({ title, queueTitle }) => has(title) || has(queueTitle)).slice(0, CASES_MAX);
}
