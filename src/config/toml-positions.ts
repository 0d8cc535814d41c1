/**
 * Where the keys of a TOML document stand. smol-toml tells the place of a syntax error only; for a wrong setting the
 * operator needs the line of its key. Expects text that smol-toml has accepted, so it only has to find its way.
 */
export interface Position {
  /** Counted from 1. */
  readonly line: number;
  readonly column: number;
}

export type KeyPath = readonly (string | number)[];

export class TomlPositions {
  readonly #text: string;
  #at = 0;
  readonly #offsets = new Map<string, number>();
  readonly #arrayLengths = new Map<string, number>();

  constructor(text: string) {
    this.#text = text;
    this.#document();
  }

  /** Position of the key, or of its nearest enclosing table that has one; undefined for an implied one. */
  find(path: KeyPath): Position | undefined {
    for (let length = path.length; length > 0; length--) {
      const offset = this.#offsets.get(JSON.stringify(path.slice(0, length)));
      if (offset !== undefined) return this.#position(offset);
    }
    return undefined;
  }

  #position(offset: number): Position {
    const before = this.#text.slice(0, offset);
    const lineStart = before.lastIndexOf('\n') + 1;
    return { line: before.split('\n').length, column: offset - lineStart + 1 };
  }

  #mark(path: KeyPath, offset: number): void {
    const name = JSON.stringify(path);
    if (!this.#offsets.has(name)) this.#offsets.set(name, offset);
  }

  #document(): void {
    let table: KeyPath = [];
    for (this.#skipBlank(); this.#at < this.#text.length; this.#skipBlank()) {
      if (this.#text[this.#at] === '[') table = this.#header();
      else this.#pair(table);
    }
  }

  /** `[a.b]` or `[[a.b]]`; answers with the path that the keys below it are under. */
  #header(): KeyPath {
    const isArray = this.#text.startsWith('[[', this.#at);
    const start = this.#at;
    this.#at += isArray ? 2 : 1;
    const names = this.#key();
    this.#at += isArray ? 2 : 1;
    let path: KeyPath = [];
    names.forEach((name, index) => {
      path = [...path, name];
      const length = this.#arrayLengths.get(JSON.stringify(path));
      const isLast = index === names.length - 1;
      if (isLast && isArray) {
        this.#mark(path, start);
        this.#arrayLengths.set(JSON.stringify(path), (length ?? 0) + 1);
        path = [...path, length ?? 0];
      } else if (length !== undefined) path = [...path, length - 1];
    });
    this.#mark(path, start);
    return path;
  }

  #pair(table: KeyPath): void {
    const start = this.#at;
    const names = this.#key();
    for (let length = 1; length <= names.length; length++) this.#mark([...table, ...names.slice(0, length)], start);
    this.#at++;
    this.#skipSpace();
    this.#value([...table, ...names]);
  }

  /** A dotted key; stops at the `=` or `]` behind it. */
  #key(): string[] {
    const names: string[] = [];
    for (;;) {
      this.#skipSpace();
      const quote = this.#text[this.#at];
      if (quote === '"' || quote === "'") {
        const start = this.#at;
        this.#string();
        const raw = this.#text.slice(start, this.#at);
        names.push(quote === '"' ? unescaped(raw) : raw.slice(1, -1));
      } else names.push(this.#run(/[A-Za-z0-9_-]*/y));
      this.#skipSpace();
      if (this.#text[this.#at] !== '.') return names;
      this.#at++;
    }
  }

  #value(path: KeyPath): void {
    const first = this.#text[this.#at];
    if (first === '"' || first === "'") this.#string();
    else if (first === '[') this.#items(']', (index) => this.#value([...path, index]));
    else if (first === '{') this.#items('}', () => this.#pair(path));
    else this.#run(/[^,\]}#\r\n]*/y);
  }

  #items(close: string, item: (index: number) => void): void {
    this.#at++;
    for (let index = 0; ; index++) {
      this.#skipBlank();
      if (this.#at >= this.#text.length) return;
      if (this.#text[this.#at] === close) break;
      const before = this.#at;
      item(index);
      if (this.#at === before) return;
      this.#skipBlank();
      if (this.#text[this.#at] === ',') this.#at++;
    }
    this.#at++;
  }

  #string(): void {
    const pattern = this.#text.startsWith('"""', this.#at)
      ? /"""(?:[^\\]|\\.)*?"{3,5}(?!")/sy
      : this.#text.startsWith("'''", this.#at)
        ? /'''.*?'{3,5}(?!')/sy
        : this.#text[this.#at] === '"'
          ? /"(?:[^"\\]|\\.)*"/sy
          : /'[^']*'/y;
    this.#run(pattern);
  }

  #run(pattern: RegExp): string {
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.#text)?.[0] ?? '';
    this.#at += found.length;
    return found;
  }

  #skipSpace(): void {
    this.#run(/[ \t]*/y);
  }

  /** White space, line ends and comments. */
  #skipBlank(): void {
    this.#run(/(?:[ \t\r\n]|#[^\n]*)*/y);
  }
}

/** A basic string in a key. TOML knows `\e`, `\U` and `\x`, JSON does not; such a key is found by its table instead. */
function unescaped(raw: string): string {
  try {
    return JSON.parse(raw) as string;
  } catch {
    return raw;
  }
}
