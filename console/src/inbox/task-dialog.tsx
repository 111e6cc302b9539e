import { Button, Group, NativeSelect, NumberInput, Stack, Text, Textarea, TextInput } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { candidatesQuery } from '../api/queries.ts';
import type { Task } from '../api/shapes.ts';
import { CopyAs } from '../display/copy-as.tsx';
import { Dialog } from '../display/overlay.tsx';
import { ProblemView } from '../display/states.tsx';
import { laterTimes } from './happenings.ts';
import { type TaskAct, useTaskAct } from './use-act.ts';

export type Asked = 'delegate' | 'assign' | 'later' | 'question' | 'priority';

interface DialogProps {
  asked: Asked;
  task: Task;
  onClose: () => void;
  /** With what was done, for people. */
  onDone: (message: string) => void;
}

const TITLES: Readonly<Record<Asked, string>> = {
  delegate: 'Hand to a colleague',
  assign: 'Give to somebody',
  later: 'Look again later',
  question: 'Send back with a question',
  priority: 'How pressing is it?',
};
const DONE: Readonly<Record<Asked, string>> = {
  delegate: 'Handed on',
  assign: 'Given',
  later: 'Put off',
  question: 'Sent back',
  priority: 'Changed',
};

/** The one question that comes before something is done with a case. */
export function TaskDialog({ asked, task, onClose, onDone }: DialogProps) {
  const change = useTaskAct(task.id, () => onDone(DONE[asked]));
  const Questions = {
    delegate: Person,
    assign: Person,
    later: Later,
    question: Question,
    priority: Priority,
  }[asked];
  return (
    <Dialog opened onClose={onClose} title={TITLES[asked]}>
      <Stack>
        <Questions asked={asked} task={task} busy={change.isPending} send={(act) => change.mutate(act)} />
        {change.error && <ProblemView error={change.error} />}
      </Stack>
    </Dialog>
  );
}

interface QuestionProps {
  asked: Asked;
  task: Task;
  busy: boolean;
  send: (act: TaskAct) => void;
}

function Person({ asked, task, busy, send }: QuestionProps) {
  const candidates = useQuery(candidatesQuery(task.id));
  const [to, setTo] = useState('');
  const [message, setMessage] = useState('');
  const people = (candidates.data?.items ?? []).filter(({ id }) => id !== task.claimedById);
  const act: TaskAct | undefined =
    to === '' ? undefined : { what: asked, body: { to, ...(message === '' ? {} : { message }) } };
  return (
    <>
      {asked === 'delegate' && (
        <Text size="sm">They answer it or give it back. You stay the one who is asked about it.</Text>
      )}
      {candidates.data && people.length === 0 ? (
        <Text size="sm">Nobody else may answer it.</Text>
      ) : (
        <NativeSelect
          label="Who"
          data={[
            { value: '', label: 'Choose' },
            ...people.map(({ id, name }) => ({ value: id, label: name })),
          ]}
          value={to}
          onChange={(event) => setTo(event.currentTarget.value)}
          data-autofocus
        />
      )}
      {asked === 'delegate' && (
        <Textarea
          label="Message"
          autosize
          minRows={2}
          value={message}
          onChange={(event) => setMessage(event.currentTarget.value)}
        />
      )}
      <Send task={task} act={act} busy={busy} send={send} label={TITLES[asked]} />
    </>
  );
}

function Later({ task, busy, send }: QuestionProps) {
  const [own, setOwn] = useState('');
  const until = (at: Date): TaskAct => ({ method: 'PUT', what: 'follow-up', body: { at: at.toISOString() } });
  const ownAt = new Date(own);
  return (
    <>
      <Text size="sm">
        It is left out of your list until then. What becomes pressing comes back by itself.
      </Text>
      <Group gap="xs">
        {laterTimes(new Date()).map(({ label, at }, index) => (
          <Button
            key={label}
            variant="default"
            disabled={busy}
            onClick={() => send(until(at))}
            {...(index === 0 ? { 'data-autofocus': true } : {})}
          >
            {label}
          </Button>
        ))}
        {task.followUpAt && (
          <Button
            variant="default"
            disabled={busy}
            onClick={() => send({ method: 'PUT', what: 'follow-up', body: { at: null } })}
          >
            Now
          </Button>
        )}
      </Group>
      <TextInput
        type="datetime-local"
        label="Another time"
        value={own}
        onChange={(event) => setOwn(event.currentTarget.value)}
      />
      <Send
        task={task}
        act={own === '' || Number.isNaN(ownAt.getTime()) ? undefined : until(ownAt)}
        busy={busy}
        send={send}
        label="Put off"
      />
    </>
  );
}

function Question({ task, busy, send }: QuestionProps) {
  const [message, setMessage] = useState('');
  const { contextDigest } = task;
  const act: TaskAct | undefined =
    message.trim() === '' ? undefined : { what: 'return', body: { message, contextDigest } };
  return (
    <>
      <Text size="sm">Whoever brought the case is asked. It comes back to you with what they say.</Text>
      <Textarea
        label="What do you need to know?"
        autosize
        minRows={3}
        value={message}
        onChange={(event) => setMessage(event.currentTarget.value)}
        data-autofocus
      />
      <Send task={task} act={act} busy={busy} send={send} label="Send back" />
    </>
  );
}

function Priority({ task, busy, send }: QuestionProps) {
  const [priority, setPriority] = useState<number>(task.priority);
  const act: TaskAct = { method: 'PUT', what: 'priority', body: { priority } };
  return (
    <>
      <NumberInput
        label="0 to 100, higher comes first"
        min={0}
        max={100}
        allowDecimal={false}
        value={priority}
        onChange={(value) => typeof value === 'number' && setPriority(value)}
        data-autofocus
      />
      <Send task={task} act={act} busy={busy} send={send} label="Change" />
    </>
  );
}

interface SendProps extends Omit<QuestionProps, 'asked'> {
  act: TaskAct | undefined;
  label: string;
}

function Send({ task, act, busy, send, label }: SendProps) {
  return (
    <Group justify="flex-end">
      {act && (
        <CopyAs
          what={label}
          command={{
            method: act.method ?? 'POST',
            path: `/api/v1/tasks/${task.id}/${act.what}`,
            ...(act.body === undefined ? {} : { body: act.body }),
          }}
        />
      )}
      <Button disabled={!act} loading={busy} onClick={() => act && send(act)}>
        {label}
      </Button>
    </Group>
  );
}
