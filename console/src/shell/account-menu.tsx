import {
  ActionIcon,
  Avatar,
  Group,
  Menu,
  Text,
  Tooltip,
  useComputedColorScheme,
  useMantineColorScheme,
} from '@mantine/core';
import { IconLogout, IconMoon, IconSun, IconUser } from '@tabler/icons-react';
import { useQueryClient } from '@tanstack/react-query';
import type { Connection } from '../api/live.ts';
import { meQuery } from '../api/queries.ts';
import { act } from '../api/request.ts';
import type { Me } from '../api/shapes.ts';
import { Badge } from '../display/badge.tsx';

const SHOWN = {
  connecting: { tone: 'quiet', text: 'connecting', about: 'The page is being connected.' },
  live: { tone: 'good', text: 'live', about: 'The page changes by itself.' },
  away: {
    tone: 'attention',
    text: 'reconnecting',
    about: 'The connection was cut; the page asks every few seconds.',
  },
} as const;

export function AccountMenu({ me, connection }: { me: Me; connection: Connection }) {
  const { tone, text, about } = SHOWN[connection];
  return (
    <Group gap="xs" wrap="nowrap">
      <Tooltip label={about}>
        <span className={connection === 'away' ? undefined : 'wide-only'} role="status" aria-label={text}>
          <Badge tone={tone} dot>
            <span className="wide-only">{text}</span>
          </Badge>
        </span>
      </Tooltip>
      <SchemeButton />
      <Person me={me} />
    </Group>
  );
}

function SchemeButton() {
  const { setColorScheme } = useMantineColorScheme();
  const dark = useComputedColorScheme('light') === 'dark';
  return (
    <Tooltip label={dark ? 'Light' : 'Dark'}>
      <ActionIcon
        variant="default"
        size={36}
        onClick={() => setColorScheme(dark ? 'light' : 'dark')}
        aria-label={dark ? 'Change to light' : 'Change to dark'}
      >
        {dark ? <IconSun size={18} /> : <IconMoon size={18} />}
      </ActionIcon>
    </Tooltip>
  );
}

function Person({ me }: { me: Me }) {
  const queries = useQueryClient();
  const logout = async () => {
    await act('POST', '/api/v1/logout');
    queries.removeQueries({ predicate: ({ queryKey }) => queryKey[0] !== 'me' });
    await queries.resetQueries({ queryKey: meQuery.queryKey });
  };
  return (
    <Menu position="bottom-end" withArrow>
      <Menu.Target>
        <ActionIcon variant="transparent" size={36} aria-label={`Account: ${me.name}`}>
          <Avatar size={34} color="indigo" styles={{ placeholder: { color: 'var(--active-fg)' } }}>
            <IconUser size={19} stroke={1.8} aria-hidden />
          </Avatar>
        </ActionIcon>
      </Menu.Target>
      <Menu.Dropdown>
        <Menu.Label>
          <Text size="sm" fw={600} c="var(--mantine-color-text)">
            {me.name}
          </Text>
          {me.roles.join(', ')}
        </Menu.Label>
        <Menu.Item leftSection={<IconLogout size={16} />} onClick={() => void logout()}>
          Log out
        </Menu.Item>
      </Menu.Dropdown>
    </Menu>
  );
}
