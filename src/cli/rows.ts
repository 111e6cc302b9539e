import { readFile } from 'node:fs/promises';
import { extname } from 'node:path';
import { AiosError } from '../kernel/errors.ts';
import { losesDigits, strictJson } from '../kernel/exact-integers.ts';
import type { Json, JsonObject } from '../kernel/json.ts';

/**
 * The rows of a file by its ending: `.csv` (RFC 4180, with a heading), `.jsonl` (an object on each line), `.json` (a list of objects).
 *
 * @throws AiosError `models.quantization_data` for a file of another kind
 * @example await readRows('returns.csv') // [{ orders: 3, segment: 'a' }]
 */
export async function readRows(file: string): Promise<JsonObject[]> {
  const text = (await readFile(file, 'utf8')).replace(/^\uFEFF/, '');
  const rows = rowsOf(file, text);
  if (
    Array.isArray(rows) &&
    rows.every((row) => typeof row === 'object' && row !== null && !Array.isArray(row))
  )
    return rows as JsonObject[];
  throw unreadable(file, 'it is not a list of objects');
}

function rowsOf(file: string, text: string): Json {
  const ending = extname(file).toLowerCase();
  try {
    if (ending === '.csv') return csvRows(text);
    if (ending === '.json') return strictJson(text);
    if (ending === '.jsonl')
      return text.split('\n').flatMap((line) => (line.trim() === '' ? [] : [strictJson(line)]));
  } catch (error) {
    throw unreadable(file, (error as Error).message);
  }
  throw unreadable(file, 'its name ends in none of .csv, .jsonl and .json');
}

function unreadable(file: string, reason: string): AiosError {
  return new AiosError('models.quantization_data', { detail: `${file} cannot be read as rows: ${reason}.` });
}

/** What reads as a number is one, but for whole numbers that would lose digits: those are texts. An empty field is absent. */
function csvRows(text: string): JsonObject[] {
  const [heading = [], ...records] = csvRecords(text);
  return records.map((record) => {
    const row: JsonObject = {};
    for (const [i, name] of heading.entries()) {
      const value = record[i] ?? '';
      const number = Number(value);
      const isDigits = /^-?\d{16,}$/.test(value) && losesDigits(number, value);
      const isNumber = value.trim() !== '' && Number.isFinite(number) && !isDigits;
      if (value !== '') row[name] = isNumber ? number : value;
    }
    return row;
  });
}

function csvRecords(text: string): string[][] {
  const records: string[][] = [];
  let record: string[] = [];
  let value = '';
  let isQuoted = false;
  const endRecord = () => {
    record.push(value);
    if (record.length > 1 || value !== '') records.push(record);
    [record, value] = [[], ''];
  };
  for (let i = 0; i < text.length; i++) {
    const character = text[i]!;
    if (isQuoted) {
      if (character !== '"') value += character;
      else if (text[i + 1] === '"') value += text[i++];
      else isQuoted = false;
    } else if (character === '"' && value === '') isQuoted = true;
    else if (character === ',') {
      record.push(value);
      value = '';
    } else if (character === '\n') endRecord();
    else if (character !== '\r') value += character;
  }
  endRecord();
  return records;
}
