import type { TaskReview } from '../api/shapes.ts';

/** What is special about answering a case that several people answer, in the words of those who do; undefined when nothing is. */
export function noticeOf(review: TaskReview): { title: string; text: string } | undefined {
  const { form, role, people, needed, round } = review;
  const again = round > 1 ? ' What is shown was put right, so everybody is asked anew.' : '';
  if (role === 'adjudicator')
    return {
      title: 'Two people came to different answers',
      text: 'You decide. Below is what each of them said; neither knows of the other.',
    };
  if (form === 'approvals')
    return {
      title: `${needed} of ${people} people must approve`,
      text: `Nobody approves what they asked for or prepared, and each answers once.${again}`,
    };
  if (form === 'double')
    return {
      title: 'Two people answer this without seeing each other',
      text: `Neither the other answer nor a suggestion is shown. If you differ, somebody else decides.${again}`,
    };
  if (form === 'sample')
    return {
      title: 'A check of an automatic answer',
      text: 'This case was answered already, and nobody waits. Your answer tells how good automatic answers are; it changes nothing in the case.',
    };
  return round > 1 ? { title: 'What is shown was put right', text: 'The case is asked anew.' } : undefined;
}

/** How far it has come: `1 of 3 have answered`. */
export function progressOf({ form, status, role, people, answered, reason }: TaskReview): string | undefined {
  if (reason !== undefined && form !== 'single' && form !== 'sample') return reason;
  if (status === 'expired') return 'Not enough people answered in time.';
  if (people < 2 || role === 'adjudicator') return undefined;
  return answered === 0 ? `None of ${people} has answered yet.` : `${answered} of ${people} have answered.`;
}
