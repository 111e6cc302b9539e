import { Box, Button, Center, Code, PasswordInput, Stack, Text, Title } from '@mantine/core';
import { useDocumentTitle } from '@mantine/hooks';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { type FormEvent, useState } from 'react';
import { act } from '../api/request.ts';
import { Dialog } from '../display/overlay.tsx';
import { ProblemView } from '../display/states.tsx';

/** Whoever comes without a session: how to get one. */
export function LoginPage() {
  useDocumentTitle('Log in · AIOS');
  return (
    <Center mih="100vh" p="md" component="main">
      <Box className="panel" p="xl" w="100%" maw={460}>
        <Stack gap="md">
          <img src="/icon.svg" alt="" width={40} height={40} />
          <Title order={1}>Log in to AIOS</Title>
          <LoginForm />
        </Stack>
      </Box>
    </Center>
  );
}

/** Over the page whose session has ended: what was typed there is still there afterwards. */
export function LoginDialog() {
  return (
    <Dialog opened title="Log in again">
      <Stack gap="md">
        <Text size="sm">Your session has ended. The page stays as it is.</Text>
        <LoginForm />
      </Stack>
    </Dialog>
  );
}

function LoginForm() {
  const queries = useQueryClient();
  const [key, setKey] = useState('');
  const login = useMutation({
    mutationFn: () => act('POST', '/api/v1/login', { key: key.trim() }),
    onSuccess: () => queries.invalidateQueries(),
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    login.mutate();
  };
  return (
    <>
      <Text size="sm">
        Open the link that <Code>npm start</Code> printed. It works once; this prints a new one:
      </Text>
      <pre className="code">npx aios login</pre>
      <form onSubmit={submit}>
        <Stack gap="sm">
          <PasswordInput
            label="Or paste an API key"
            placeholder="aios_…"
            value={key}
            onChange={(event) => setKey(event.currentTarget.value)}
            autoComplete="off"
            visibilityToggleButtonProps={{ 'aria-label': 'Show or hide the key' }}
          />
          {login.error && <ProblemView error={login.error} />}
          <Button type="submit" loading={login.isPending} disabled={key.trim() === ''}>
            Log in
          </Button>
        </Stack>
      </form>
    </>
  );
}
