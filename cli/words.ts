/** Cuts a line into words as a shell does: white space, '...' and "..." (with \" and \\). Pure. */
export function splitWords(line: string): string[] {
  const words: string[] = [];
  for (const [whole] of line.matchAll(/(?:[^\s"']+|"(?:[^"\\]|\\.)*"?|'[^']*'?)+/gs)) {
    words.push(
      whole.replaceAll(
        /"((?:[^"\\]|\\.)*)"?|'([^']*)'?/gs,
        (_match, double?: string, single?: string) =>
          double === undefined ? (single ?? '') : double.replaceAll(/\\(["\\])/g, '$1'),
      ),
    );
  }
  return words;
}
