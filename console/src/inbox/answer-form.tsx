import { Button, Group, NumberInput, Stack, Switch, Text, Textarea, TextInput } from '@mantine/core';
import { getHotkeyHandler, useHotkeys } from '@mantine/hooks';
import { notifications } from '@mantine/notifications';
import { IconSend } from '@tabler/icons-react';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { useRef, useState } from 'react';
import { taskQuery } from '../api/queries.ts';
import { act } from '../api/request.ts';
import type { FormSchema, Json, JsonObject, Task } from '../api/shapes.ts';
import { CopyAs } from '../display/copy-as.tsx';
import { label } from '../display/format.ts';
import { ProblemView } from '../display/states.tsx';
import { answerField, type Choice, choicesOf, missing } from './choices.ts';

type Answers = Record<string, Json | undefined>;
const LONG_TEXT_CHARS = 120;

/** The answer while it is given: what is chosen and typed, what is missing, and how it is sent. */
function useAnswer(task: Task, onAnswered: () => void) {
  const [answers, setAnswers] = useState<Answers>(() => ({ ...(task.suggestion as JsonObject | undefined) }));
  const [asked, setAsked] = useState(false);
  const queries = useQueryClient();
  const send = useMutation({
    mutationFn: () =>
      act<Task>('POST', `/api/v1/tasks/${task.id}/complete`, {
        result: answers,
        contextDigest: task.contextDigest,
      }),
    onSuccess: (done) => {
      queries.setQueryData(taskQuery(task.id).queryKey, done);
      void queries.invalidateQueries({ queryKey: ['tasks'] });
      notifications.show({ title: 'Answered', message: task.title, color: 'teal' });
      onAnswered();
    },
  });
  const faults = missing(task.form, answers);
  const set = (name: string, value: Json | undefined) =>
    setAnswers((before) => ({ ...before, [name]: value }));
  const submit = () => {
    setAsked(true);
    if (faults.length === 0 && !send.isPending) send.mutate();
  };
  return { answers, set, submit, send, faults: asked ? faults : [] };
}

/** The form of a task, from its JSON Schema; bound to what the task shows by its digest. */
export function AnswerForm({ task, onAnswered }: { task: Task; onAnswered: () => void }) {
  const { answers, set, submit, send, faults } = useAnswer(task, onAnswered);
  const form = useRef<HTMLFormElement>(null);
  const choiceName = answerField(task.form);
  const choices = choicesOf(task.form);
  const choose = (choice: Choice) => {
    set(choiceName!, choice.value);
    form.current?.querySelector<HTMLElement>('textarea, input')?.focus();
  };
  useHotkeys([
    ...choices.map((choice): [string, () => void] => [choice.key, () => choose(choice)]),
    ['mod+Enter', submit],
  ]);
  return (
    <form
      ref={form}
      onSubmit={(event) => {
        event.preventDefault();
        submit();
      }}
      onKeyDown={getHotkeyHandler([['mod+Enter', submit]])}
    >
      <Stack gap="sm">
        <Choices choices={choices} chosen={choiceName && answers[choiceName]} choose={choose} />
        {Object.entries(task.form.properties ?? {})
          .filter(([name]) => name !== choiceName)
          .map(([name, schema]) => (
            <Field
              key={name}
              name={name}
              schema={schema}
              required={task.form.required?.includes(name) ?? false}
              value={answers[name]}
              onChange={(value) => set(name, value)}
            />
          ))}
        {faults.length > 0 && (
          <Text size="sm" c="var(--bad-fg)" role="alert">
            {faults.join('; ')}.
          </Text>
        )}
        {send.error && <ProblemView error={send.error} />}
        <Group gap="xs">
          <Button type="submit" leftSection={<IconSend size={16} />} loading={send.isPending}>
            Send the answer
          </Button>
          <CopyAs
            what="This answer"
            command={{
              method: 'POST',
              path: `/api/v1/tasks/${task.id}/complete`,
              body: { result: answers as JsonObject, contextDigest: task.contextDigest },
              cli: `inbox ${task.id} --complete '${JSON.stringify(answers)}'`,
            }}
          />
        </Group>
      </Stack>
    </form>
  );
}

interface ChoicesProps {
  choices: readonly Choice[];
  chosen: Json | undefined;
  choose: (choice: Choice) => void;
}

function Choices({ choices, chosen, choose }: ChoicesProps) {
  if (choices.length === 0) return null;
  return (
    <Group gap="xs" role="group" aria-label="Answer">
      {choices.map((choice) => (
        <Button
          key={choice.label}
          variant="default"
          onClick={() => choose(choice)}
          aria-pressed={choice.value === chosen}
          rightSection={<kbd className="wide-only">{choice.key}</kbd>}
          className={choice.refuses ? 'choice tone-bad' : 'choice tone-good'}
        >
          {label(choice.label)}
        </Button>
      ))}
    </Group>
  );
}

interface FieldProps {
  name: string;
  schema: FormSchema;
  required: boolean;
  value: Json | undefined;
  onChange: (value: Json | undefined) => void;
}

function Field({ name, schema, required, value, onChange }: FieldProps) {
  const shared = { label: schema.title ?? label(name), description: schema.description, required };
  if (schema.type === 'boolean')
    return (
      <Switch
        {...shared}
        checked={value === true}
        onChange={(event) => onChange(event.currentTarget.checked)}
      />
    );
  if (schema.type === 'number' || schema.type === 'integer')
    return (
      <NumberInput
        {...shared}
        min={schema.minimum}
        max={schema.maximum}
        allowDecimal={schema.type === 'number'}
        value={typeof value === 'number' ? value : ''}
        onChange={(next) => onChange(typeof next === 'number' ? next : undefined)}
      />
    );
  const text = {
    ...shared,
    maxLength: schema.maxLength,
    value: typeof value === 'string' ? value : '',
    onChange: (event: { currentTarget: { value: string } }) =>
      onChange(event.currentTarget.value || undefined),
  };
  if ((schema.maxLength ?? Number.POSITIVE_INFINITY) > LONG_TEXT_CHARS)
    return <Textarea {...text} autosize minRows={2} />;
  return <TextInput {...text} />;
}
