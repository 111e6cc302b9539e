import { ActionIcon, Menu } from '@mantine/core';
import { useHotkeys } from '@mantine/hooks';
import { notifications } from '@mantine/notifications';
import {
  IconArrowBackUp,
  IconClockPause,
  IconDots,
  IconFlag,
  IconMessageQuestion,
  IconUserShare,
  IconUserUp,
} from '@tabler/icons-react';
import { useState } from 'react';
import type { Me, Task } from '../api/shapes.ts';
import { ProblemView } from '../display/states.tsx';
import { type Asked, TaskDialog } from './task-dialog.tsx';
import { useTaskAct } from './use-act.ts';

interface Offered {
  label: string;
  icon: typeof IconDots;
  hotkey?: string;
  /** The question that comes first; what can be taken back needs none. */
  asks: Asked | undefined;
}

/** What somebody may do with a case as it stands, beside answering it. */
function offeredTo(me: Me, task: Task): Offered[] {
  const mine = task.claimedById === me.id;
  const owned = task.ownerId === me.id;
  const free = task.status === 'open';
  const acts = me.permissions.includes('tasks.act');
  const leads = me.permissions.includes('tasks.assign');
  const offers: [may: boolean, offered: Offered][] = [
    [
      acts && (free || mine || owned),
      { label: 'Look again later', icon: IconClockPause, hotkey: 'f', asks: 'later' },
    ],
    [
      acts && task.mayReturn && (free || mine),
      { label: 'Send back with a question', icon: IconMessageQuestion, hotkey: 'q', asks: 'question' },
    ],
    [
      acts && (mine || owned),
      { label: 'Hand to a colleague', icon: IconUserShare, hotkey: 'd', asks: 'delegate' },
    ],
    [acts && owned, { label: `Take back from ${task.claimedBy}`, icon: IconArrowBackUp, asks: undefined }],
    [leads, { label: 'Give to somebody', icon: IconUserUp, asks: 'assign' }],
    [leads, { label: 'How pressing it is', icon: IconFlag, asks: 'priority' }],
  ];
  return offers.flatMap(([may, offered]) => (may ? [offered] : []));
}

/** What can be done with a case beside answering it. */
export function TaskActs({ task, me, onLeft }: { task: Task; me: Me; onLeft: () => void }) {
  const [asked, setAsked] = useState<Asked>();
  const direct = useTaskAct(task.id);
  const offers = offeredTo(me, task);
  const choose = ({ asks }: Offered) => (asks ? setAsked(asks) : direct.mutate({ what: 'hand-back' }));
  useHotkeys(offers.flatMap((offered) => (offered.hotkey ? [[offered.hotkey, () => choose(offered)]] : [])));
  if (direct.error) return <ProblemView error={direct.error} retry={() => direct.reset()} />;
  if (offers.length === 0) return null;
  return (
    <>
      <Menu position="bottom-end" withArrow withinPortal={false}>
        <Menu.Target>
          <ActionIcon variant="default" size={36} aria-label="More to do with this case">
            <IconDots size={18} />
          </ActionIcon>
        </Menu.Target>
        <Menu.Dropdown>
          {offers.map((offered) => (
            <Menu.Item
              key={offered.label}
              leftSection={<offered.icon size={16} aria-hidden />}
              rightSection={offered.hotkey && <kbd className="wide-only">{offered.hotkey}</kbd>}
              onClick={() => choose(offered)}
            >
              {offered.label}
            </Menu.Item>
          ))}
        </Menu.Dropdown>
      </Menu>
      {asked && (
        <TaskDialog
          asked={asked}
          task={task}
          onClose={() => setAsked(undefined)}
          onDone={(message) => {
            setAsked(undefined);
            notifications.show({ title: message, message: task.title, color: 'teal' });
            if (asked === 'later' || asked === 'question') onLeft();
          }}
        />
      )}
    </>
  );
}
