import { Button, Group, Stack, Text } from '@mantine/core';
import { useDisclosure } from '@mantine/hooks';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { meQuery, modelQuery } from '../api/queries.ts';
import { act } from '../api/request.ts';
import type { Model } from '../api/shapes.ts';
import { CopyAs } from '../display/copy-as.tsx';
import { Dialog } from '../display/overlay.tsx';
import { ProblemView } from '../display/states.tsx';

const ALIAS = 'champion';

/** Points the serving alias at a version, after asking. */
export function PromoteButton({ model, version }: { model: Model; version: number }) {
  const me = useQuery(meQuery);
  const queries = useQueryClient();
  const [opened, modal] = useDisclosure(false);
  const path = `/api/v1/models/${model.name}/aliases/${ALIAS}`;
  const promote = useMutation({
    mutationFn: () => act<Model>('PUT', path, { version }),
    onSuccess: (changed) => {
      queries.setQueryData(modelQuery(model.name).queryKey, changed);
      modal.close();
    },
  });
  const current = model.aliases[ALIAS];
  if (!me.data?.permissions.includes('models.promote')) return null;
  if (current === version) return <Text size="xs">serves now</Text>;
  const back = current !== undefined && version < current;
  return (
    <>
      <Button
        size="compact-sm"
        variant="default"
        onClick={(event) => {
          event.stopPropagation();
          modal.open();
        }}
      >
        {back ? 'Roll back' : 'Promote'}
      </Button>
      <Dialog
        opened={opened}
        onClose={modal.close}
        title={`${back ? 'Roll back' : 'Promote'} ${model.name} to v${version}?`}
      >
        <Stack>
          <Text size="sm">
            From then on every decision that asks for “{ALIAS}” uses v{version}
            {current === undefined ? '' : ` instead of v${current}`}, once it is loaded and warm. The change
            is an audit entry with your name.
          </Text>
          {promote.error && <ProblemView error={promote.error} />}
          <Group justify="flex-end">
            <CopyAs what="This promotion" command={{ method: 'PUT', path, body: { version } }} />
            <Button variant="default" onClick={modal.close}>
              Leave it
            </Button>
            <Button loading={promote.isPending} onClick={() => promote.mutate()}>
              {back ? 'Roll back' : 'Promote'} to v{version}
            </Button>
          </Group>
        </Stack>
      </Dialog>
    </>
  );
}
