/** The files that are made from the schema: `config/latchkey.schema.json` and `config/latchkey.toml`. */
import * as z from 'zod/mini';
import { schema } from './schema.ts';

interface Node {
  readonly description?: string;
  readonly default?: unknown;
  readonly examples?: readonly unknown[];
  readonly properties?: Readonly<Record<string, Node>>;
  readonly items?: Node;
}

/** JSON Schema (2020-12) of the file as an operator writes it, for editors that check TOML against one. */
export function jsonSchema(): object {
  return { title: 'Latchkey configuration', ...z.toJSONSchema(schema, { io: 'input', target: 'draft-2020-12' }) };
}

const WIDTH = 110;

function comment(text: string): string[] {
  const lines: string[] = [];
  let line = '#';
  for (const word of text.split(' ')) {
    if (line.length + word.length >= WIDTH) {
      lines.push(line);
      line = '#';
    }
    line += ` ${word}`;
  }
  return [...lines, line];
}

/** JSON's strings, numbers, booleans and lists of them are TOML's too. */
function value(node: Node): string {
  const shown = JSON.stringify(node.default ?? node.examples?.[0]);
  return shown.replaceAll('","', '", "');
}

/** Every setting with its meaning, commented out: what stands behind `#` is the default, or an example where there is none. */
function settings(node: Node): string[] {
  return Object.entries(node.properties ?? {}).flatMap(([name, setting]) => [
    ...comment(setting.description ?? ''),
    `#${name} = ${value(setting)}`,
    '',
  ]);
}

function table(name: string, node: Node): string[] {
  if (node.properties !== undefined) return [...comment(node.description ?? ''), `[${name}]`, '', ...settings(node)];
  if (node.items?.properties !== undefined) {
    return [...comment(node.description ?? ''), `#[[${name}]]`, '', ...settings(node.items)];
  }
  return settings({ properties: { [name]: node } });
}

/** A configuration that says everything and changes nothing. */
export function referenceToml(): string {
  const root = jsonSchema() as Node;
  const lines = [
    '# Latchkey configuration. Everything in here is the default, or an example where there is no default:',
    '# remove the # in front of a line to change it. An installed hub reads /etc/latchkey/latchkey.toml.',
    '# Durations: "500ms", "60s", "15m", "24h", "30d". Paths are relative to the folder of this file.',
    '',
    ...Object.entries(root.properties ?? {}).flatMap(([name, node]) => table(name, node)),
  ];
  return `${lines.join('\n').trimEnd()}\n`;
}
