import { isObject, type Json } from '../../kernel/json.ts';
import type { Compiler } from './compile.ts';
import type { FlowQueue } from './flow.ts';

const PATH = '/document/metadata/aios/queue';
export const PRIORITY_MAX = 100;
const PRIORITY = 50;
const EXPECTED = '{ name, key: an expression, priority: 0 to 100 or an expression }';

/** `document.metadata.aios.queue`: the queue that the flow's runs wait in before they begin. */
export function compileQueue(compiler: Compiler, queue: Json | undefined): FlowQueue | undefined {
  if (queue === undefined) return undefined;
  if (!isObject(queue) || typeof queue.name !== 'string') {
    compiler.fault(PATH, 'a queue is named', EXPECTED);
    return undefined;
  }
  const { name, key, priority = PRIORITY, ...others } = queue;
  for (const member of Object.keys(others)) compiler.fault(`${PATH}/${member}`, 'it means nothing', EXPECTED);
  if (typeof priority === 'number' ? !isPriority(priority) : typeof priority !== 'string')
    compiler.fault(`${PATH}/priority`, 'a priority is a whole number from 0 to 100', EXPECTED);
  const keyOf = compiler.bare(key, `${PATH}/key`);
  const priorityOf =
    typeof priority === 'string' ? compiler.bare(priority, `${PATH}/priority`) : () => priority;
  return {
    name,
    key: (scope) => {
      const value = known(() => keyOf?.(scope));
      if (value === undefined || value === null) return '';
      return typeof value === 'string' ? value : JSON.stringify(value);
    },
    priority: (scope) => {
      const value = Number(known(() => priorityOf?.(scope)) ?? PRIORITY);
      return Number.isFinite(value) ? Math.min(PRIORITY_MAX, Math.max(0, Math.round(value))) : PRIORITY;
    },
  };
}

function isPriority(value: number): boolean {
  return Number.isInteger(value) && value >= 0 && value <= PRIORITY_MAX;
}

/** An input that has no key is one without a key: it must wait in the line of those, and neither be refused nor stop its consumer. */
function known(evaluate: () => Json | undefined): Json | undefined {
  try {
    return evaluate();
  } catch {
    return undefined;
  }
}
