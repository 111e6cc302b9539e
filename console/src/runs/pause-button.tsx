import { Button } from '@mantine/core';
import { IconPlayerPause, IconPlayerPlay } from '@tabler/icons-react';

/** Stops or lets go on what starts runs; `name` is what the button acts on, for those who hear it. */
export function PauseButton({
  name,
  paused,
  isChanging,
  onClick,
}: {
  name: string;
  paused: boolean;
  isChanging: boolean;
  onClick(): void;
}) {
  const Icon = paused ? IconPlayerPlay : IconPlayerPause;
  const act = paused ? 'Resume' : 'Pause';
  return (
    <Button
      size="compact-sm"
      variant="default"
      leftSection={<Icon size={14} aria-hidden />}
      loading={isChanging}
      aria-label={`${act} ${name}`}
      onClick={onClick}
    >
      {act}
    </Button>
  );
}
