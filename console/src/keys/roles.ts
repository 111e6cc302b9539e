/** What holders of a role may do, in a line; the server's `PERMISSIONS_OF` in words. */
export const ROLES: Readonly<Record<string, string>> = {
  viewer: 'Reads everything but the contents of the audit log.',
  reviewer: 'Reads, decides cases in the inbox and approves models.',
  lead: 'A reviewer who also assigns cases, sees quality and exports labels.',
  operator: 'Runs the system: definitions, events, models, runs. Decides no case and sees no keys.',
  trainer: 'Logs trainings and registers versions of models; promotes none.',
  admin: 'May do everything: keys and erasure too.',
};
