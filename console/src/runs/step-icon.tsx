import {
  IconArrowsSplit2,
  IconBolt,
  IconBrain,
  IconClock,
  IconCube,
  IconDatabase,
  IconEar,
  IconFlag,
  IconGavel,
  IconPencil,
  IconPlugConnected,
  IconRepeat,
  IconSend,
  IconShieldHalf,
  IconUserCheck,
} from '@tabler/icons-react';

const ICONS: Readonly<Record<string, typeof IconBolt>> = {
  start: IconBolt,
  end: IconFlag,
  features: IconDatabase,
  infer: IconBrain,
  decide: IconGavel,
  'human-task': IconUserCheck,
  connector: IconPlugConnected,
  emit: IconSend,
  switch: IconArrowsSplit2,
  fork: IconArrowsSplit2,
  try: IconShieldHalf,
  for: IconRepeat,
  wait: IconClock,
  listen: IconEar,
  set: IconPencil,
};

export function StepIcon({
  kind,
  primitive,
  size = 16,
}: {
  kind: string;
  primitive?: string | undefined;
  size?: number;
}) {
  const Icon = ICONS[primitive ?? kind] ?? IconCube;
  return <Icon size={size} stroke={1.8} aria-hidden />;
}
