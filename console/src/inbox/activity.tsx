import { Anchor, Box, Button, FileButton, Group, Stack, Text, Textarea, Title } from '@mantine/core';
import { getHotkeyHandler, useHotkeys } from '@mantine/hooks';
import { IconPaperclip } from '@tabler/icons-react';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { useRef, useState } from 'react';
import { taskAttachmentsQuery, taskHistoryQuery } from '../api/queries.ts';
import { act } from '../api/request.ts';
import type { Happening, Me, Task } from '../api/shapes.ts';
import { bytes } from '../display/format.ts';
import { Answer, ProblemView } from '../display/states.tsx';
import { Time } from '../display/time.tsx';
import { attachmentOf, tellOf } from './happenings.ts';

/** What was said about a case and what happened to it, and the files beside it. */
export function Activity({ task, me }: { task: Task; me: Me }) {
  const history = useQuery(taskHistoryQuery(task.id));
  const mayWrite = me.permissions.includes('tasks.act');
  return (
    <Stack gap="sm" component="section" aria-label="What happened">
      <Group justify="space-between">
        <Title order={3} fz="md">
          What happened
        </Title>
        {mayWrite && <AttachButton task={task} />}
      </Group>
      <Files task={task} />
      {mayWrite && <CommentBox task={task} />}
      <Answer query={history}>
        {({ items }) => (
          <ol className="happenings">
            {[...items].reverse().map((happening) => (
              <Line key={happening.id} happening={happening} />
            ))}
          </ol>
        )}
      </Answer>
    </Stack>
  );
}

function Line({ happening }: { happening: Happening }) {
  const { what, said } = tellOf(happening);
  const { attachment, name } = attachmentOf(happening);
  return (
    <li>
      <Text size="sm" component="span">
        {happening.by && <b>{happening.by} </b>}
        {what}{' '}
        {attachment !== undefined && <FileLink taskId={happening.taskId} id={attachment} name={name} />}
        <Text component="span" size="xs" c="dimmed">
          <Time at={happening.at} />
        </Text>
      </Text>
      {said && <p className="said">{said}</p>}
    </li>
  );
}

function CommentBox({ task }: { task: Task }) {
  const [text, setText] = useState('');
  const box = useRef<HTMLTextAreaElement>(null);
  const queries = useQueryClient();
  const send = useMutation({
    mutationFn: () => act('POST', `/api/v1/tasks/${task.id}/comments`, { text }),
    onSuccess: (history) => {
      setText('');
      queries.setQueryData(taskHistoryQuery(task.id).queryKey, history as { items: Happening[] });
    },
  });
  const submit = () => text.trim() !== '' && !send.isPending && send.mutate();
  useHotkeys([['m', () => box.current?.focus()]]);
  return (
    <Box>
      <Textarea
        ref={box}
        aria-label="Write a comment"
        placeholder="Write a comment"
        autosize
        minRows={1}
        value={text}
        onChange={(event) => setText(event.currentTarget.value)}
        onKeyDown={getHotkeyHandler([['mod+Enter', submit]])}
      />
      {text !== '' && (
        <Button mt={6} size="xs" variant="default" loading={send.isPending} onClick={submit}>
          Comment
        </Button>
      )}
      {send.error && <ProblemView error={send.error} />}
    </Box>
  );
}

function Files({ task }: { task: Task }) {
  const files = useQuery(taskAttachmentsQuery(task.id));
  if (!files.data || files.data.items.length === 0) return null;
  return (
    <ul className="files" aria-label="Files">
      {files.data.items.map(({ id, name, sizeBytes }) => (
        <li key={id}>
          <FileLink taskId={task.id} id={id} name={name} sizeBytes={sizeBytes} />
        </li>
      ))}
    </ul>
  );
}

interface FileLinkProps {
  taskId: string;
  id: string;
  name: string;
  sizeBytes?: number;
}

function FileLink({ taskId, id, name, sizeBytes }: FileLinkProps) {
  return (
    <Anchor href={`/api/v1/tasks/${taskId}/attachments/${id}`} download={name} size="sm" className="file">
      <IconPaperclip size={14} aria-hidden /> {name}{' '}
      {sizeBytes !== undefined && <span className="number">{bytes(sizeBytes)}</span>}
    </Anchor>
  );
}

function AttachButton({ task }: { task: Task }) {
  const queries = useQueryClient();
  const send = useMutation({
    mutationFn: async (file: File) =>
      act('POST', `/api/v1/tasks/${task.id}/attachments`, {
        name: file.name,
        mediaType: file.type || 'application/octet-stream',
        contentBase64: await base64Of(file),
      }),
    onSuccess: () => void queries.invalidateQueries({ queryKey: ['task', task.id] }),
  });
  return (
    <Stack gap={4} align="flex-end">
      <FileButton
        onChange={(file) => file && send.mutate(file)}
        inputProps={{ 'aria-label': 'File to attach' }}
      >
        {(props) => (
          <Button
            {...props}
            variant="subtle"
            color="gray"
            size="xs"
            leftSection={<IconPaperclip size={14} />}
            loading={send.isPending}
          >
            Attach a file
          </Button>
        )}
      </FileButton>
      {send.error && <ProblemView error={send.error} />}
    </Stack>
  );
}

function base64Of(file: File): Promise<string> {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(String(reader.result).split(',')[1] ?? '');
    reader.onerror = () => reject(new Error(`${file.name} cannot be read.`));
    reader.readAsDataURL(file);
  });
}
