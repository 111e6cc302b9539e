import { Alert, Button, Code, Group, Stack, Text, TextInput } from '@mantine/core';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { type ChangeEvent, useState } from 'react';
import { act } from '../api/request.ts';
import { type Webhook, webhooksQuery } from '../api/webhooks.ts';
import { namesIn } from '../display/names-in.ts';
import { Dialog } from '../display/overlay.tsx';
import { ProblemView } from '../display/states.tsx';

const NOTHING = { url: '', types: '', filter: '' };
type Wanted = typeof NOTHING;

/** Makes a webhook, and shows its secret the one time that it is told. */
export function NewWebhook({ opened, onClose }: { opened: boolean; onClose: () => void }) {
  const queries = useQueryClient();
  const [wanted, setWanted] = useState(NOTHING);
  const create = useMutation({
    mutationFn: () => act<Webhook>('POST', '/api/v1/webhooks', bodyOf(wanted)),
    onSuccess: () => void queries.invalidateQueries({ queryKey: webhooksQuery.queryKey }),
  });
  const close = () => {
    create.reset();
    setWanted(NOTHING);
    onClose();
  };
  return (
    <Dialog opened={opened} onClose={close} title="New webhook">
      {create.data ? (
        <Stack gap="md">
          {create.data.secret && <WebhookSecret secret={create.data.secret} />}
          <Group justify="flex-end">
            <Button onClick={close}>Done</Button>
          </Group>
        </Stack>
      ) : (
        <form
          onSubmit={(event) => {
            event.preventDefault();
            create.mutate();
          }}
        >
          <Stack gap="md">
            <Fields wanted={wanted} onChange={setWanted} />
            {create.error && <ProblemView error={create.error} />}
            <Group justify="flex-end">
              <Button type="submit" loading={create.isPending}>
                Make it
              </Button>
            </Group>
          </Stack>
        </form>
      )}
    </Dialog>
  );
}

function bodyOf({ url, types, filter }: Wanted) {
  const names = namesIn(types);
  return {
    url: url.trim(),
    ...(names.length > 0 ? { types: names } : {}),
    ...(filter.trim() ? { filter: filter.trim() } : {}),
  };
}

function Fields({ wanted, onChange }: { wanted: Wanted; onChange: (wanted: Wanted) => void }) {
  const bind = (name: keyof Wanted) => ({
    value: wanted[name],
    onChange: (event: ChangeEvent<HTMLInputElement>) =>
      onChange({ ...wanted, [name]: event.currentTarget.value }),
  });
  return (
    <>
      <TextInput label="Address" placeholder="https://example.org/hook" required {...bind('url')} />
      <TextInput
        label="Types"
        description="Separated by commas; all when left out"
        placeholder="order.placed, order.paid"
        {...bind('types')}
      />
      <TextInput
        label="Filter"
        description="CEL over the attributes of the event and its data"
        placeholder="data.total > 100.0"
        className="mono"
        {...bind('filter')}
      />
    </>
  );
}

export function WebhookSecret({ secret }: { secret: string }) {
  return (
    <Alert title="The secret is shown this once" role="status">
      <Stack gap="xs">
        <Code block style={{ overflowWrap: 'anywhere', whiteSpace: 'pre-wrap' }}>
          {secret}
        </Code>
        <Text size="sm">Receivers verify the signature of each message with it.</Text>
      </Stack>
    </Alert>
  );
}
