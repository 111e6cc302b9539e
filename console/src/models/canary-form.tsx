import { ActionIcon, Button, Checkbox, NumberInput, Select, Stack, Text } from '@mantine/core';
import { IconPlus, IconX } from '@tabler/icons-react';
import { mayAddStep, type PlanDraft, type StepDraft, type WaitUnit, withStep } from './rollout-plan.ts';
import './rollouts.css';

export interface PlanFormProps {
  draft: PlanDraft;
  /** By field. */
  faults: Readonly<Record<string, string>>;
  onChange: (draft: PlanDraft) => void;
}

const UNITS = [
  { value: 'minutes', label: 'minutes' },
  { value: 'hours', label: 'hours' },
  { value: 'days', label: 'days' },
  { value: 'open', label: 'no time limit' },
];

/** The shares of a canary, one after the other, and how long each lasts. */
export function CanaryForm({ draft, faults, onChange }: PlanFormProps) {
  const { steps, thenPromote } = draft;
  const change = (id: number, part: Partial<StepDraft>) =>
    onChange({ ...draft, steps: steps.map((step) => (step.id === id ? { ...step, ...part } : step)) });
  return (
    <Stack gap="xs">
      <ol className="schedule" aria-label="Schedule">
        {steps.map((step, at) => (
          <Step
            key={step.id}
            step={step}
            number={at + 1}
            faults={faults}
            onChange={(part) => change(step.id, part)}
            onRemove={
              steps.length > 1
                ? () => onChange({ ...draft, steps: steps.filter(({ id }) => id !== step.id) })
                : undefined
            }
          />
        ))}
      </ol>
      <Button
        variant="default"
        size="compact-sm"
        w="fit-content"
        leftSection={<IconPlus size={14} aria-hidden />}
        disabled={!mayAddStep(draft)}
        onClick={() => onChange(withStep(draft))}
      >
        Add a step
      </Button>
      <Checkbox
        label="Promote it by itself after the last step"
        checked={thenPromote}
        onChange={(event) => onChange({ ...draft, thenPromote: event.currentTarget.checked })}
      />
      <Text size="xs" c="dimmed">
        A step ends when its time is over and 50 requests were answered in it.
      </Text>
    </Stack>
  );
}

interface StepProps {
  step: StepDraft;
  number: number;
  faults: PlanFormProps['faults'];
  onChange: (part: Partial<StepDraft>) => void;
  /** Undefined for the only one. */
  onRemove: (() => void) | undefined;
}

function Step({ step: { id, percent, wait, unit }, number, faults, onChange, onRemove }: StepProps) {
  const waitFault = faults[`wait-${id}`];
  const isFirst = number === 1;
  const of = isFirst ? '' : ` of step ${number}`;
  return (
    <li className="schedule-step" data-first={isFirst}>
      <NumberInput
        label={isFirst ? 'Share' : undefined}
        aria-label={isFirst ? undefined : `Share${of}`}
        value={percent}
        onChange={(value) => onChange({ percent: value })}
        error={faults[`percent-${id}`]}
        min={0}
        max={100}
        suffix=" %"
        hideControls
      />
      <div className="schedule-wait" data-open={unit === 'open'}>
        {unit !== 'open' && (
          <NumberInput
            label={isFirst ? 'For' : undefined}
            aria-label={isFirst ? undefined : `How long${of}`}
            value={wait}
            onChange={(value) => onChange({ wait: value })}
            error={waitFault}
            min={0}
            hideControls
          />
        )}
        <Select
          label={isFirst ? (unit === 'open' ? 'For' : ' ') : undefined}
          aria-label={unit === 'open' ? `Lasts${of}` : `Unit of the time${of}`}
          data={UNITS}
          value={unit}
          onChange={(value) => onChange({ unit: (value ?? 'open') as WaitUnit })}
          error={unit === 'open' ? waitFault : undefined}
          allowDeselect={false}
        />
      </div>
      {onRemove && (
        <ActionIcon variant="default" size={36} onClick={onRemove} aria-label={`Remove step ${number}`}>
          <IconX size={16} />
        </ActionIcon>
      )}
    </li>
  );
}
