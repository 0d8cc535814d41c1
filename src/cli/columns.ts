import { printable } from '../core/printable.ts';

/** Rows of cells as lines, each column as wide as its widest cell. Whatever is in a cell stays in its line. */
export function columns(cells: readonly (readonly string[])[]): readonly string[] {
  const rows = cells.map((row) => row.map(printable));
  const widths = new Map<number, number>();
  for (const row of rows)
    for (const [column, cell] of row.entries()) widths.set(column, Math.max(widths.get(column) ?? 0, cell.length));
  return rows.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths.get(column) ?? 0))
      .join('  ')
      .trimEnd(),
  );
}
