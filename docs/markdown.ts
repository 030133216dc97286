/**
 * Lays out Markdown as `deno fmt` does, for the documents and the benchmark's report.
 *
 * @module
 */

/** A Markdown table, padded. The first `leftColumns` columns are aligned left, the others right. */
export function table(
  head: readonly string[],
  rows: readonly (readonly string[])[],
  { leftColumns = head.length }: { leftColumns?: number } = {},
): string {
  const widths = head.map((cell, column) =>
    Math.max(3, cell.length, ...rows.map((row) => row[column]?.length ?? 0))
  );
  const line = (row: readonly string[]) => {
    const cells = widths.map((width, column) => {
      const cell = row[column] ?? "";
      return column < leftColumns ? cell.padEnd(width) : cell.padStart(width);
    });
    return `| ${cells.join(" | ")} |`;
  };
  const rule = widths.map((width, column) =>
    column < leftColumns ? "-".repeat(width) : "-".repeat(width - 1) + ":"
  );
  return [line(head), line(rule), ...rows.map(line)].join("\n");
}
