/** The settings that docs/servers.md gives for each server, as the hub reads them. */
import { readFileSync } from 'node:fs';
import { parseConfig } from '../../../src/config/load.ts';
import type { Config } from '../../../src/config/schema.ts';

const PAGE = readFileSync(new URL('../../../docs/servers.md', import.meta.url), 'utf8');
const ORIGIN = { file: 'servers.md', folder: '/', environment: { HOME: '/' } };

/** By the heading of their section. */
const recipes: ReadonlyMap<string, string> = new Map(
  PAGE.split(/^## /m)
    .slice(1)
    .flatMap((section) => {
      const heading = section.slice(0, section.indexOf('\n'));
      const [, toml] = /^```toml\n([\s\S]*?)^```/m.exec(section) ?? [];
      return toml === undefined ? [] : [[heading, toml] as const];
    }),
);

export interface Recipe {
  readonly heading: string;
  readonly issuers: Config['issuers'];
  /** The same with more settings for the first issuer, as TOML. */
  readonly with: (settings: string) => Config['issuers'];
}

export const RECIPES: readonly Recipe[] = [...recipes].map(([heading, toml]) => {
  const read = (settings: string) =>
    parseConfig(toml.replace(/^dialect = /m, `${settings}\ndialect = `), ORIGIN).issuers;
  return { heading, issuers: read(''), with: read };
});
