import { Button, Stack, Text } from '@mantine/core';
import { IconCoins } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { type Budget, type BudgetUse, budgetsQuery } from '../api/budgets.ts';
import { Badge } from '../display/badge.tsx';
import { CommandText } from '../display/command-text.tsx';
import { CopyAs } from '../display/copy-as.tsx';
import { count } from '../display/format.ts';
import { PageLink } from '../display/link.tsx';
import { Page, Panel } from '../display/page.tsx';
import { Answer, Empty } from '../display/states.tsx';
import { Time } from '../display/time.tsx';
import { type BudgetBar, barsOf, usesOf, whoseText } from './budget-bars.ts';
import './budgets.css';
import { Who } from '../display/who.tsx';

const READ_MS = 2_000;
const SHOWN = 8;

/** How far the budgets of language models are used in the period that is on. */
export function BudgetsPage() {
  const budgets = useQuery({ ...budgetsQuery, refetchInterval: READ_MS });
  return (
    <Page
      title="Budgets"
      subtitle="The most that calls of language models may cost. When a budget is used up, calls are refused until its period ends."
      actions={
        <CopyAs what="This list" command={{ method: 'GET', path: '/api/v1/budgets', cli: 'budgets' }} />
      }
    >
      <Answer query={budgets}>
        {({ items }) =>
          items.length === 0 ? (
            <Panel>
              <Empty title="No budget is set" icon={<IconCoins size={32} />}>
                Calls of language models are not limited.{' '}
                <CommandText>aios budgets team --usd 50 --period month</CommandText> sets a budget over all of
                them, with <CommandText>--for-key each</CommandText> one for each key.
              </Empty>
            </Panel>
          ) : (
            items.map((budget) => <BudgetPanel key={budget.name} budget={budget} />)
          )
        }
      </Answer>
    </Page>
  );
}

function BudgetPanel({ budget }: { budget: Budget }) {
  const [isWhole, setWhole] = useState(false);
  const uses = usesOf(budget);
  const { name, period, periodEnd } = budget;
  const fullest = Math.max(
    0,
    ...uses.flatMap((use) => barsOf(budget, use).map(({ used, max }) => used / max)),
  );
  return (
    <Panel
      title={name}
      aside={
        <Text size="sm" c="dimmed">
          starts anew <Time at={periodEnd} />
        </Text>
      }
    >
      <Stack gap="md">
        <Text size="sm" c="dimmed">
          For <Whose budget={budget} />, in each {period}. {fullest >= 1 && <Badge tone="bad">used up</Badge>}
        </Text>
        {uses.length === 0 ? (
          <Text size="sm">Nothing was used in this {period}.</Text>
        ) : (
          <ul className="budget-uses">
            {uses.slice(0, isWhole ? undefined : SHOWN).map((use) => (
              <Use key={use.subject} budget={budget} use={use} />
            ))}
          </ul>
        )}
        {uses.length > SHOWN && !isWhole && (
          <Button variant="default" size="xs" w="fit-content" onClick={() => setWhole(true)}>
            Show all {count(uses.length)}
          </Button>
        )}
      </Stack>
    </Panel>
  );
}

function Use({ budget, use }: { budget: Budget; use: BudgetUse }) {
  return (
    <li className="budget-use">
      <Subject scope={budget.scope} subject={use.subject} />
      <div className="budget-bars">
        {barsOf(budget, use).map((bar) => (
          <Bar key={bar.of} bar={bar} />
        ))}
      </div>
    </li>
  );
}

function Whose({ budget }: { budget: Budget }) {
  const { scope, subject } = budget;
  if (scope !== 'key' || subject === '*') return whoseText(budget);
  return (
    <>
      the key <Who id={subject} />
    </>
  );
}

function Subject({ scope, subject }: { scope: string; subject: string }) {
  if (scope === 'model')
    return (
      <PageLink to="/models/$name" params={{ name: subject }} size="sm" fw={500}>
        {subject}
      </PageLink>
    );
  return (
    <Text size="sm" fw={500} component="div">
      {scope === 'all' ? 'All calls' : <Who id={subject} />}
    </Text>
  );
}

function Bar({ bar: { of, usedPercent, reservedPercent, tone, text } }: { bar: BudgetBar }) {
  return (
    <div className={`tone-${tone}`}>
      <div className="budget-bar-head">
        <span>{of}</span>
        <span className="number">{text}</span>
      </div>
      <div className="budget-bar" aria-hidden="true">
        <div className="budget-bar-used" style={{ width: `${usedPercent}%` }} />
        <div className="budget-bar-reserved" style={{ width: `${reservedPercent}%` }} />
      </div>
    </div>
  );
}
