import { NumberInput, Select, SimpleGrid, Stack, Text, TextInput } from '@mantine/core';
import type { PlanFormProps } from './canary-form.tsx';

/** The share of an A/B test, and the outcome that it is about. */
export function AbTestForm({ draft, faults, onChange }: PlanFormProps) {
  const { percent, outcome, higherIsBetter, effect, samplesMin } = draft;
  return (
    <Stack gap="xs">
      <TextInput
        label="Outcome"
        description="What is reported of each key once it is known"
        placeholder="e.g. accepted"
        value={outcome}
        onChange={(event) => onChange({ ...draft, outcome: event.currentTarget.value })}
        error={faults.outcome}
        required
      />
      <SimpleGrid cols={{ base: 1, xs: 2 }} spacing="sm" verticalSpacing="xs">
        <NumberInput
          label="Share"
          value={percent}
          onChange={(value) => onChange({ ...draft, percent: value })}
          error={faults.percent}
          min={0}
          max={100}
          suffix=" %"
        />
        <Select
          label="Better is"
          data={[
            { value: 'higher', label: 'more of it' },
            { value: 'lower', label: 'less of it' },
          ]}
          value={higherIsBetter ? 'higher' : 'lower'}
          onChange={(value) => onChange({ ...draft, higherIsBetter: value === 'higher' })}
          allowDeselect={false}
        />
        <NumberInput
          label="Difference to find soonest"
          value={effect}
          onChange={(value) => onChange({ ...draft, effect: value })}
          error={faults.effect}
          min={0}
          step={0.01}
        />
        <NumberInput
          label="Outcomes of each side, at least"
          value={samplesMin}
          onChange={(value) => onChange({ ...draft, samplesMin: value })}
          error={faults.samplesMin}
          min={2}
          allowDecimal={false}
        />
      </SimpleGrid>
      <Text size="xs" c="dimmed">
        It may be looked at after every outcome: a difference that is not there is found in 5 % of such tests,
        ever.
      </Text>
    </Stack>
  );
}
