import { useMutation, useQueryClient } from '@tanstack/react-query';
import { taskQuery } from '../api/queries.ts';
import { act } from '../api/request.ts';
import type { Json, Task } from '../api/shapes.ts';

export interface TaskAct {
  method?: 'POST' | 'PUT';
  /** After the address of the task: `delegate`. */
  what: string;
  body?: Json;
}

/** Does something with a task that changes it; what is shown of it is read again. */
export function useTaskAct(id: string, onDone?: (task: Task) => void) {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: ({ method = 'POST', what, body = {} }: TaskAct) =>
      act<Task>(method, `/api/v1/tasks/${id}/${what}`, body),
    onSuccess: (changed) => {
      queries.setQueryData(taskQuery(id).queryKey, changed);
      void queries.invalidateQueries({ queryKey: ['task', id] });
      void queries.invalidateQueries({ queryKey: ['tasks'] });
      onDone?.(changed);
    },
  });
}
