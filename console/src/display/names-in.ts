/** Names as people type them, apart by commas; each once. */
export function namesIn(text: string): string[] {
  return [...new Set(text.split(',').flatMap((name) => name.trim() || []))];
}
