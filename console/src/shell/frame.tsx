import {
  ActionIcon,
  AppShell,
  Box,
  Burger,
  Center,
  Group,
  Loader,
  Text,
  UnstyledButton,
} from '@mantine/core';
import { useDisclosure } from '@mantine/hooks';
import { notifications } from '@mantine/notifications';
import { openSpotlight } from '@mantine/spotlight';
import { IconSearch } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { Link, Navigate, Outlet, useRouterState } from '@tanstack/react-router';
import { useEffect } from 'react';
import { type Connection, useLiveFeed } from '../api/live.ts';
import { meQuery } from '../api/queries.ts';
import { ProblemError } from '../api/request.ts';
import type { Me } from '../api/shapes.ts';
import { ProblemView } from '../display/states.tsx';
import { AccountMenu } from './account-menu.tsx';
import { CommandPalette } from './command-palette.tsx';
import { DESTINATIONS } from './destinations.ts';
import { LoginDialog, LoginPage } from './login-page.tsx';
import { wasLoadedAgain } from './missing-part.tsx';
import { Navigation } from './navigation.tsx';

/** What every page stands in; whoever is not known yet is asked who they are instead. */
export function Frame() {
  const me = useQuery(meQuery);
  const isStranger = me.error instanceof ProblemError && me.error.problem.status === 401;
  const connection = useLiveFeed(me.data !== undefined && !isStranger);
  useEffect(tellOfLoading, []);
  if (me.data)
    return (
      <>
        <Shell me={me.data} connection={connection} />
        {isStranger && <LoginDialog />}
      </>
    );
  if (isStranger) return <LoginPage />;
  if (me.error)
    return (
      <Center mih="100vh" p="md">
        <ProblemView error={me.error} retry={() => void me.refetch()} />
      </Center>
    );
  return (
    <Center mih="100vh">
      <Loader role="status" aria-label="Loading" />
    </Center>
  );
}

function tellOfLoading(): void {
  if (wasLoadedAgain())
    notifications.show({
      id: 'loaded-again',
      title: 'The page was loaded again',
      message: 'AIOS serves another version of it, as after an upgrade.',
    });
}

function Shell({ me, connection }: { me: Me; connection: Connection }) {
  const [opened, drawer] = useDisclosure(false);
  return (
    <AppShell
      header={{ height: 56 }}
      navbar={{ width: 208, breakpoint: 'sm', collapsed: { mobile: !opened } }}
      padding={{ base: 'sm', sm: 'lg' }}
    >
      <a className="skip" href="#main">
        Skip to the page
      </a>
      <AppShell.Header px="md" style={{ background: 'var(--surface)' }}>
        <Group h="100%" justify="space-between" wrap="nowrap">
          <Group gap="sm" wrap="nowrap">
            <Burger
              opened={opened}
              onClick={drawer.toggle}
              hiddenFrom="sm"
              size="sm"
              aria-label="Navigation"
            />
            <Link to="/" style={{ textDecoration: 'none', color: 'inherit' }} aria-label="AIOS, home">
              <Group gap={10} wrap="nowrap">
                <img src="/icon.svg" alt="" width={28} height={28} />
                <Text fw={700} size="lg">
                  AIOS
                </Text>
              </Group>
            </Link>
          </Group>
          <SearchButton />
          <ActionIcon
            variant="default"
            size="lg"
            ml="auto"
            hiddenFrom="sm"
            aria-label="Search or go to"
            onClick={openSpotlight}
          >
            <IconSearch size={16} />
          </ActionIcon>
          <AccountMenu me={me} connection={connection} />
        </Group>
      </AppShell.Header>
      <AppShell.Navbar p="xs" style={{ background: 'var(--surface)' }}>
        <Navigation me={me} onNavigate={drawer.close} />
      </AppShell.Navbar>
      <AppShell.Main id="main" tabIndex={-1} style={{ outline: 'none' }}>
        <Box maw={1440} mx="auto">
          <Landing me={me} />
        </Box>
      </AppShell.Main>
      <CommandPalette me={me} />
    </AppShell>
  );
}

/** The page; who may not read the first one begins at one that they may. */
function Landing({ me }: { me: Me }) {
  const isFirst = useRouterState({ select: ({ location }) => location.pathname === '/' });
  const first = DESTINATIONS.find(({ permission }) => me.permissions.includes(permission));
  if (isFirst && first && first.to !== '/') return <Navigate to={first.to} replace />;
  return <Outlet />;
}

function SearchButton() {
  return (
    <UnstyledButton onClick={openSpotlight} className="panel wide-only" px="sm" py={6} w={360}>
      <Group gap="xs" wrap="nowrap">
        <IconSearch size={16} aria-hidden />
        <Text size="sm" c="dimmed" flex={1}>
          Search or go to …
        </Text>
        <kbd>Ctrl K</kbd>
      </Group>
    </UnstyledButton>
  );
}
