import {
  ActionIcon,
  Button,
  FileButton,
  Group,
  Stack,
  Text,
  Textarea,
  TextInput,
  Tooltip,
} from '@mantine/core';
import { IconFilePlus, IconX } from '@tabler/icons-react';
import type { ProjectFile } from '../api/definitions.ts';
import { bytes } from '../display/format.ts';

/** A file that goes with a definition; `id` stays when its path is written on. */
export interface AddedFile extends ProjectFile {
  id: string;
  /** In bytes, of one that is not edited here. */
  size?: number;
}

interface DefinitionFilesProps {
  /** Of the definition: files begin beside it. */
  folder: string;
  files: readonly AddedFile[];
  /** Called with what is to become of the files as they are then: those that are picked are read first, and meanwhile people write on. */
  onChange: (change: (files: readonly AddedFile[]) => readonly AddedFile[]) => void;
}

/** The files that a definition names: code to be edited here, models and documents to be picked. */
export function DefinitionFiles({ folder, files, onChange }: DefinitionFilesProps) {
  const change = (id: string, to: Partial<AddedFile>) =>
    onChange((all) => all.map((file) => (file.id === id ? { ...file, ...to } : file)));
  const add = async (picked: File[]) => {
    const read = await Promise.all(picked.map((file) => readFile(folder, file)));
    const paths = new Set(read.map(({ path }) => path));
    onChange((all) => [...all.filter(({ path }) => !paths.has(path)), ...read]);
  };
  return (
    <Stack gap="sm">
      {files.map((file) => (
        <Stack key={file.id} gap={4}>
          <Group gap="xs" wrap="nowrap">
            <TextInput
              flex={1}
              aria-label={`Path of ${file.path}`}
              className="mono"
              value={file.path}
              onChange={(event) => change(file.id, { path: event.currentTarget.value })}
            />
            {file.size !== undefined && (
              <Text size="sm" c="dimmed" className="number" style={{ whiteSpace: 'nowrap' }}>
                {bytes(file.size)}
              </Text>
            )}
            <Tooltip label="Leave it out">
              <ActionIcon
                variant="subtle"
                color="gray"
                size={36}
                aria-label={`Leave out ${file.path}`}
                onClick={() => onChange((all) => all.filter(({ id }) => id !== file.id))}
              >
                <IconX size={16} />
              </ActionIcon>
            </Tooltip>
          </Group>
          {file.text !== undefined && (
            <CodeText
              label={`Text of ${file.path}`}
              value={file.text}
              onChange={(text) => change(file.id, { text })}
            />
          )}
        </Stack>
      ))}
      <Group gap="xs">
        <FileButton multiple onChange={(picked) => void add(picked)}>
          {(props) => (
            <Button
              {...props}
              variant="default"
              size="xs"
              leftSection={<IconFilePlus size={14} aria-hidden />}
            >
              Add files
            </Button>
          )}
        </FileButton>
        <Text size="xs" c="dimmed">
          Those that the definition names: code, a model, a document of an interface.
        </Text>
      </Group>
    </Stack>
  );
}

interface CodeTextProps {
  label: string;
  value: string;
  onChange: (value: string) => void;
}

/** A text in the letters of code, as high as it is long, up to a bound. */
export function CodeText({ label, value, onChange }: CodeTextProps) {
  return (
    <Textarea
      aria-label={label}
      autosize
      minRows={8}
      maxRows={28}
      spellCheck={false}
      styles={{ input: { fontFamily: 'var(--mantine-font-family-monospace)' } }}
      value={value}
      onChange={(event) => onChange(event.currentTarget.value)}
    />
  );
}

/** Names of text that people write: it is edited here; anything else goes as it is. */
const TEXT = /\.(ts|js|mjs|md|ya?ml|json|txt|sql|proto|graphql)$/i;
/** A longer text is not edited in a page. */
const TEXT_BYTES_MAX = 200_000;

let added = 0;

async function readFile(folder: string, file: File): Promise<AddedFile> {
  const path = `${folder}/${file.name}`;
  const id = `added ${++added}`;
  if (TEXT.test(file.name) && file.size <= TEXT_BYTES_MAX) return { id, path, text: await file.text() };
  return { id, path, base64: (await dataUrlOf(file)).replace(/^[^,]*,/, ''), size: file.size };
}

function dataUrlOf(file: File): Promise<string> {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(String(reader.result));
    reader.onerror = () => reject(reader.error ?? new Error(`${file.name} could not be read.`));
    reader.readAsDataURL(file);
  });
}
