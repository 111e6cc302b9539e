import { Button, Group, SegmentedControl, Stack, Text } from '@mantine/core';
import { IconKey, IconLock, IconPlus } from '@tabler/icons-react';
import { useInfiniteQuery, useQuery } from '@tanstack/react-query';
import { getRouteApi } from '@tanstack/react-router';
import { useState } from 'react';
import { endedKeysQuery, KEYS_PATH, type Key, keysQuery } from '../api/keys.ts';
import { meQuery } from '../api/queries.ts';
import { CopyAs } from '../display/copy-as.tsx';
import { count } from '../display/format.ts';
import { LongList } from '../display/long-list.tsx';
import { MoreButton } from '../display/more-button.tsx';
import { SidePanel } from '../display/overlay.tsx';
import { Page, Panel } from '../display/page.tsx';
import { Answer, Empty, LoadingPanel } from '../display/states.tsx';
import { useNow } from '../display/time.tsx';
import { KeyDetails } from './key-details.tsx';
import { NewKey } from './key-form.tsx';
import { byUrgency, EXPIRING_DAYS, isExpiring } from './key-state.ts';
import { KeyTable } from './key-table.tsx';

const route = getRouteApi('/keys');
const STATES = [
  { value: 'in-force', label: 'In force' },
  { value: 'ended', label: 'Ended' },
];

/** The keys of people and programs: who may do what, until when; made and revoked here. */
export function KeysPage() {
  const { state = 'in-force' } = route.useSearch();
  const navigate = route.useNavigate();
  const me = useQuery(meQuery);
  const [isMaking, setMaking] = useState(false);
  const isEnded = state === 'ended';
  if (me.data && !me.data.permissions.includes('keys.manage')) return <NotForYou />;
  return (
    <Page
      title="Keys"
      subtitle="Each person and each program has a key of its own, whose roles say what it may do."
      actions={
        <>
          <CopyAs
            what="This list"
            command={{
              method: 'GET',
              path: isEnded ? `${KEYS_PATH}?state=ended` : KEYS_PATH,
              cli: isEnded ? 'keys --ended' : 'keys',
            }}
          />
          <Button leftSection={<IconPlus size={16} />} onClick={() => setMaking(true)}>
            New key
          </Button>
        </>
      }
    >
      <SegmentedControl
        aria-label="Which keys"
        w="fit-content"
        data={STATES}
        value={state}
        onChange={(next) => void navigate({ search: next === 'ended' ? { state: next } : {}, replace: true })}
      />
      {isEnded ? <EndedKeys /> : <KeysInForce />}
      <NewKey opened={isMaking} onClose={() => setMaking(false)} />
    </Page>
  );
}

function NotForYou() {
  return (
    <Page title="Keys">
      <Panel>
        <Empty title="Keys are managed by admins" icon={<IconLock size={32} />}>
          Your key may not see them (that takes <code className="mono">keys.manage</code>). An admin makes and
          revokes keys on this page.
        </Empty>
      </Panel>
    </Page>
  );
}

function KeysInForce() {
  const keys = useQuery({ ...keysQuery, refetchInterval: 5_000 });
  const now = useNow();
  const [opened, setOpened] = useOpened();
  return (
    <Answer query={keys} loading={<LoadingPanel />}>
      {({ items }) => (
        <Stack gap="md">
          <Expiring keys={items.filter((key) => isExpiring(key, now))} />
          <LongList items={byUrgency(items, now)} textOf={({ name, groups }) => [name, ...groups].join(' ')}>
            {(shown) => <KeyTable keys={shown} onOpen={setOpened} />}
          </LongList>
          {items.length === 1 && (
            <Text size="sm" c="dimmed">
              So far there is only the admin key. Make one for each person and each program: what they do is
              recorded under its name.
            </Text>
          )}
          <OpenedKey shown={items.find(({ id }) => id === opened)} keys={items} onClose={() => setOpened()} />
        </Stack>
      )}
    </Answer>
  );
}

function Expiring({ keys }: { keys: readonly Key[] }) {
  if (keys.length === 0) return null;
  return (
    <Group className="panel tone-attention notice" role="status" gap="xs" px="md" py="xs" wrap="nowrap">
      <IconKey size={16} style={{ flex: 'none' }} aria-hidden />
      <Text size="sm">
        {keys.length === 1 ? 'One key expires' : `${count(keys.length)} keys expire`} within {EXPIRING_DAYS}{' '}
        days. An expired key does not come back: make another one in time.
      </Text>
    </Group>
  );
}

function EndedKeys() {
  const keys = useInfiniteQuery(endedKeysQuery);
  const [opened, setOpened] = useOpened();
  return (
    <Answer query={keys} loading={<LoadingPanel />}>
      {({ pages }) => {
        const items = pages.flatMap((page) => page.items);
        return (
          <Stack gap="md">
            <Panel padded={false}>
              {items.length === 0 ? (
                <Empty title="No key has ended" icon={<IconKey size={32} />}>
                  Keys that were revoked or have expired stay listed here.
                </Empty>
              ) : (
                <KeyTable keys={items} onOpen={setOpened} />
              )}
            </Panel>
            <MoreButton query={keys}>More keys</MoreButton>
            <OpenedKey
              shown={items.find(({ id }) => id === opened)}
              keys={items}
              onClose={() => setOpened()}
            />
          </Stack>
        );
      }}
    </Answer>
  );
}

/** The key whose details are open; it stands in the address. */
function useOpened(): [string | undefined, (id?: string) => void] {
  const { key } = route.useSearch();
  const navigate = route.useNavigate();
  return [
    key,
    (id) =>
      void navigate({ search: (before) => ({ ...before, key: id }), replace: true, resetScroll: false }),
  ];
}

function OpenedKey({
  shown,
  keys,
  onClose,
}: {
  shown: Key | undefined;
  keys: readonly Key[];
  onClose: () => void;
}) {
  return (
    <SidePanel opened={shown !== undefined} onClose={onClose} title={shown?.name ?? ''}>
      {shown && <KeyDetails key={shown.id} shown={shown} keys={keys} />}
    </SidePanel>
  );
}
