import { ActionIcon, Menu, Tooltip } from '@mantine/core';
import { useClipboard } from '@mantine/hooks';
import { notifications } from '@mantine/notifications';
import { IconTerminal2 } from '@tabler/icons-react';
import type { Json } from '../api/shapes.ts';

export interface Command {
  method: 'GET' | 'POST' | 'PUT' | 'DELETE';
  path: string;
  body?: Json;
  /** After `aios`. */
  cli?: string;
}

/** What the page does, as a command for a terminal. */
function curlOf({ method, path, body }: Command, origin: string): string {
  const parts = [`curl -H "Authorization: Bearer $AIOS_API_KEY"`];
  if (method !== 'GET') parts.push(`-X ${method}`);
  if (body !== undefined)
    parts.push(
      `-H 'Content-Type: application/json'`,
      `-d '${JSON.stringify(body).replaceAll("'", `'\\''`)}'`,
    );
  return `${parts.join(' ')} '${origin}${path}'`;
}

export function CopyAs({ command, what }: { command: Command; what: string }) {
  const clipboard = useClipboard();
  const copy = (text: string) => {
    clipboard.copy(text);
    notifications.show({ title: 'Copied', message: text });
  };
  return (
    <Menu position="bottom-end" withArrow>
      <Menu.Target>
        <Tooltip label="Copy as a command">
          <ActionIcon
            className="wide-only" // a phone has no terminal
            variant="default"
            size={36}
            aria-label={`Copy as a command: ${what}`}
          >
            <IconTerminal2 size={18} />
          </ActionIcon>
        </Tooltip>
      </Menu.Target>
      <Menu.Dropdown>
        <Menu.Label>{what}</Menu.Label>
        <Menu.Item onClick={() => copy(curlOf(command, window.location.origin))}>Copy as curl</Menu.Item>
        {command.cli && <Menu.Item onClick={() => copy(`npx aios ${command.cli}`)}>Copy as CLI</Menu.Item>}
      </Menu.Dropdown>
    </Menu>
  );
}
