import { Box, Grid, SegmentedControl, Text } from '@mantine/core';
import { useHotkeys } from '@mantine/hooks';
import { IconInbox } from '@tabler/icons-react';
import { useInfiniteQuery, useQuery } from '@tanstack/react-query';
import { getRouteApi } from '@tanstack/react-router';
import { useEffect } from 'react';
import { meQuery, taskFilters, taskPagesQuery, taskQuery } from '../api/queries.ts';
import { act, withQuery } from '../api/request.ts';
import type { Task } from '../api/shapes.ts';
import { CopyAs } from '../display/copy-as.tsx';
import { MoreButton } from '../display/more-button.tsx';
import { Page, Panel } from '../display/page.tsx';
import { Answer, Empty } from '../display/states.tsx';
import { TaskDetail } from './task-detail.tsx';
import { TaskList } from './task-list.tsx';

const route = getRouteApi('/inbox');
const STATUSES = [
  { value: 'mine', label: 'For me' },
  { value: 'waiting', label: 'All' },
  { value: 'done', label: 'Done' },
  { value: 'returned', label: 'Sent back' },
  { value: 'expired', label: 'Expired' },
];

const KEYS = (
  <span className="wide-only">
    <kbd>j</kbd> <kbd>k</kbd> next and previous · <kbd>c</kbd> claim · <kbd>a</kbd> approve · <kbd>r</kbd>{' '}
    refuse · <kbd>Ctrl Enter</kbd> send · <kbd>f</kbd> later · <kbd>d</kbd> hand on · <kbd>m</kbd> comment
  </span>
);

// Passing over a case with j and k is no look at it.
const SEEN_MS = 1_500;

/** What waits for people: a list and the case in hand, worked by keyboard. */
export function InboxPage() {
  const { task: selected, status = 'mine' } = route.useSearch();
  const navigate = route.useNavigate();
  const tasks = useInfiniteQuery(taskPagesQuery(status));
  const waits = status === 'mine' || status === 'waiting';
  const items = tasks.data?.pages.flatMap((page) => page.items) ?? [];
  const current = selected ?? items[0]?.id;
  const select = (id: string | undefined) =>
    void navigate({ search: (before) => ({ ...before, task: id }), replace: true, resetScroll: false });
  useMoves(items, current, select, () => tasks.hasNextPage && void tasks.fetchNextPage());
  return (
    <Page
      title="Inbox"
      subtitle={KEYS}
      actions={
        <>
          <SegmentedControl
            data={STATUSES}
            value={status}
            onChange={(value) => void navigate({ search: value === 'mine' ? {} : { status: value } })}
            aria-label="Which tasks"
          />
          <CopyAs
            what="This list"
            command={{
              method: 'GET',
              path: withQuery('/api/v1/tasks', { ...taskFilters(status) }),
              ...(status === 'mine' ? { cli: 'inbox' } : status === 'waiting' ? { cli: 'inbox --all' } : {}),
            }}
          />
        </>
      }
    >
      <Answer query={tasks}>
        {() =>
          items.length === 0 && !selected ? (
            <Panel>
              <Empty title={waits ? 'All done' : 'Nothing here'} icon={<IconInbox size={32} />}>
                {waits ? 'New cases appear by themselves.' : 'No case has ended this way yet.'}
              </Empty>
            </Panel>
          ) : (
            <Grid gap="md">
              <Grid.Col span={{ base: 12, md: 4 }}>
                <TaskList
                  tasks={items}
                  selected={current}
                  onSelect={select}
                  more={<MoreButton query={tasks}>Show more</MoreButton>}
                />
              </Grid.Col>
              <Grid.Col span={{ base: 12, md: 8 }} id="task-in-hand">
                {current && (
                  <Selected
                    id={current}
                    listed={items.find(({ id }) => id === current)}
                    next={nextOf(items, current)}
                    select={select}
                  />
                )}
              </Grid.Col>
            </Grid>
          )
        }
      </Answer>
    </Page>
  );
}

function nextOf(items: readonly Task[], current: string): string | undefined {
  const at = items.findIndex(({ id }) => id === current);
  return (items[at + 1] ?? items[at - 1])?.id;
}

function useMoves(
  items: readonly Task[],
  current: string | undefined,
  select: (id: string) => void,
  readOn: () => void,
): void {
  const at = items.findIndex(({ id }) => id === current);
  const move = (by: number) => {
    const next = items[Math.min(items.length - 1, Math.max(0, at + by))];
    if (next) select(next.id);
    if (at + by >= items.length) readOn();
  };
  useHotkeys([
    ['j', () => move(1)],
    ['k', () => move(-1)],
  ]);
  useEffect(() => {
    if (current) document.getElementById(`task ${current}`)?.scrollIntoView({ block: 'nearest' });
  }, [current]);
}

interface SelectedProps {
  id: string;
  listed: Task | undefined;
  next: string | undefined;
  select: (id: string | undefined) => void;
}

function Selected({ id, listed, next, select }: SelectedProps) {
  // The list has it already: it is shown, and answers to keys, while it is read again.
  const task = useQuery({ ...taskQuery(id), refetchInterval: 5_000, placeholderData: listed });
  const me = useQuery(meQuery);
  useSeen(id);
  return (
    <Answer query={task}>
      {(shown) => (
        <Box>
          {me.data && <TaskDetail key={shown.id} task={shown} me={me.data} onAnswered={() => select(next)} />}
          {!me.data && <Text c="dimmed">…</Text>}
        </Box>
      )}
    </Answer>
  );
}

/** That somebody looks at a case is kept with it; that it could not be kept is nothing to tell them. */
function useSeen(id: string): void {
  useEffect(() => {
    const timer = setTimeout(() => void act('POST', `/api/v1/tasks/${id}/seen`).catch(() => {}), SEEN_MS);
    return () => clearTimeout(timer);
  }, [id]);
}
