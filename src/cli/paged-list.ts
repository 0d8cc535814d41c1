/** Prints lists that come in pages, each page as soon as it is there. */
import { LatchkeyError } from '../core/errors.ts';
import type { Page } from '../ports/admin.ts';
import { isNoHub } from './admin-client.ts';
import type { Terminal } from './command.ts';

export interface ListText<T> {
  readonly json: boolean | undefined;
  /** Of the columns, as the first page needs them. */
  readonly title: (first: readonly T[]) => readonly string[];
  readonly row: (item: T) => readonly string[];
  /** What is printed in the place of an empty table. */
  readonly none: string;
}

/**
 * @param ask gets the page behind this cursor, or the first one
 * @throws {LatchkeyError} whatever `ask` throws; `admin_unreachable` where the hub ended in the middle of the list
 */
export async function printPages<T>(
  terminal: Pick<Terminal, 'print'>,
  ask: (after: string | undefined) => Promise<Page<T>>,
  text: ListText<T>,
): Promise<void> {
  const list = text.json === true ? new JsonList<T>(terminal) : new Table(terminal, text);
  let after: string | undefined;
  do {
    const page = await ask(after).catch((error: unknown) => {
      // The command would go on with the state folder, from the beginning.
      if (after !== undefined && isNoHub(error))
        throw new LatchkeyError('admin_unreachable', 'it ended during the list');
      throw error;
    });
    after = page.next;
    list.add(page.items, after === undefined);
  } while (after !== undefined);
}

/** One JSON array; where there are several pages it has a line for each. */
class JsonList<T> {
  readonly #terminal: Pick<Terminal, 'print'>;
  #isFirst = true;

  constructor(terminal: Pick<Terminal, 'print'>) {
    this.#terminal = terminal;
  }

  add(items: readonly T[], isLast: boolean): void {
    const text = JSON.stringify(items).slice(1, -1);
    const start = this.#isFirst ? '[' : text === '' ? '' : ',';
    this.#isFirst = false;
    this.#terminal.print(`${start}${text}${isLast ? ']' : ''}`);
  }
}

/** A column gets wider where a later page needs it. */
class Table<T> {
  readonly #terminal: Pick<Terminal, 'print'>;
  readonly #text: ListText<T>;
  readonly #widths: number[] = [];
  #isFirst = true;

  constructor(terminal: Pick<Terminal, 'print'>, text: ListText<T>) {
    this.#terminal = terminal;
    this.#text = text;
  }

  add(items: readonly T[], isLast: boolean): void {
    const { none, row, title } = this.#text;
    if (this.#isFirst && isLast && items.length === 0) {
      this.#terminal.print(none);
      return;
    }
    const rows = [...(this.#isFirst ? [title(items)] : []), ...items.map(row)];
    this.#isFirst = false;
    for (const cells of rows)
      for (const [column, cell] of cells.entries())
        this.#widths[column] = Math.max(this.#widths[column] ?? 0, cell.length);
    for (const cells of rows) {
      const padded = cells.map((cell, column) => cell.padEnd(this.#widths[column] ?? 0));
      this.#terminal.print(padded.join('  ').trimEnd());
    }
  }
}
