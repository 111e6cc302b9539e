import {
  IconActivity,
  IconBinaryTree,
  IconBrain,
  IconChecklist,
  IconCoins,
  IconFileCertificate,
  IconHome,
  IconInbox,
  IconRoute,
} from '@tabler/icons-react';

/** Where one can go; the navigation and the command palette show the same. */
export const DESTINATIONS = [
  { to: '/', label: 'Home', about: 'What happens now', icon: IconHome, permission: 'runs.read' },
  {
    to: '/runs',
    label: 'Runs',
    about: 'Every case, searched and filtered',
    icon: IconRoute,
    permission: 'runs.read',
  },
  {
    to: '/inbox',
    label: 'Inbox',
    about: 'What waits for a person',
    icon: IconInbox,
    permission: 'tasks.read',
  },
  {
    to: '/quality',
    label: 'Quality',
    about: 'How far people agree, with each other and with suggestions',
    icon: IconChecklist,
    permission: 'quality.read',
  },
  {
    to: '/models',
    label: 'Models',
    about: 'Versions, cards and promotion',
    icon: IconBrain,
    permission: 'models.read',
  },
  {
    to: '/budgets',
    label: 'Budgets',
    about: 'Tokens and money that language models may use',
    icon: IconCoins,
    permission: 'costs.read',
  },
  {
    to: '/events',
    label: 'Events',
    about: 'What came in, and what could not be handled',
    icon: IconActivity,
    permission: 'events.read',
  },
  {
    to: '/contracts',
    label: 'Contracts',
    about: 'What events hold, who owns them, and what is measured',
    icon: IconFileCertificate,
    permission: 'definitions.read',
  },
  {
    to: '/audit',
    label: 'Audit',
    about: 'The log, verified in this browser',
    icon: IconBinaryTree,
    permission: 'audit.read',
  },
] as const;
