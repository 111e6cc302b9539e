import { ActionIcon, Menu, Tooltip } from '@mantine/core';
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

/** What can be done with a case beside answering it. */
export function TaskActs({ task, me, onLeft }: { task: Task; me: Me; onLeft: () => void }) {
  const [asked, setAsked] = useState<Asked>();
  const direct = useTaskAct(task.id);
  const may = (permission: string) => me.permissions.includes(permission);
  const mine = task.claimedById === me.id;
  const owned = task.ownerId === me.id;
  const free = task.status === 'open';
  const acts = may('tasks.act');
  const can = {
    delegate: acts && (mine || owned),
    takeBack: acts && owned,
    later: acts && (free || mine || owned),
    question: acts && task.mayReturn && (free || mine),
    assign: may('tasks.assign'),
    priority: may('tasks.assign'),
  };
  useHotkeys([
    ['d', () => can.delegate && setAsked('delegate')],
    ['f', () => can.later && setAsked('later')],
    ['q', () => can.question && setAsked('question')],
  ]);
  if (direct.error) return <ProblemView error={direct.error} retry={() => direct.reset()} />;
  if (!Object.values(can).some(Boolean)) return null;
  return (
    <>
      <Menu position="bottom-end" withArrow withinPortal={false}>
        <Menu.Target>
          <Tooltip label="More">
            <ActionIcon variant="default" size={36} aria-label="More to do with this case">
              <IconDots size={18} />
            </ActionIcon>
          </Tooltip>
        </Menu.Target>
        <Menu.Dropdown>
          {can.later && (
            <Item icon={IconClockPause} hotkey="f" onClick={() => setAsked('later')}>
              Look again later
            </Item>
          )}
          {can.question && (
            <Item icon={IconMessageQuestion} hotkey="q" onClick={() => setAsked('question')}>
              Send back with a question
            </Item>
          )}
          {can.delegate && (
            <Item icon={IconUserShare} hotkey="d" onClick={() => setAsked('delegate')}>
              Hand to a colleague
            </Item>
          )}
          {can.takeBack && (
            <Item icon={IconArrowBackUp} onClick={() => direct.mutate({ what: 'hand-back' })}>
              Take back from {task.claimedBy}
            </Item>
          )}
          {can.assign && (
            <Item icon={IconUserUp} onClick={() => setAsked('assign')}>
              Give to somebody
            </Item>
          )}
          {can.priority && (
            <Item icon={IconFlag} onClick={() => setAsked('priority')}>
              How pressing it is
            </Item>
          )}
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

interface ItemProps {
  icon: typeof IconDots;
  hotkey?: string;
  onClick: () => void;
  children: React.ReactNode;
}

function Item({ icon: Icon, hotkey, onClick, children }: ItemProps) {
  return (
    <Menu.Item
      leftSection={<Icon size={16} aria-hidden />}
      rightSection={hotkey && <kbd className="wide-only">{hotkey}</kbd>}
      onClick={onClick}
    >
      {children}
    </Menu.Item>
  );
}
