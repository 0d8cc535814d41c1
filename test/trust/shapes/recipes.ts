/** The settings that docs/servers.md gives for each server, as the hub reads them. */
import { readFileSync } from 'node:fs';
import { parseConfig } from '../../../src/config/load.ts';
import type { Config } from '../../../src/config/schema.ts';
import { isCoded } from '../../../src/core/errors.ts';

const PAGE = readFileSync(new URL('../../../docs/servers.md', import.meta.url), 'utf8');
const ORIGIN = { file: 'servers.md', folder: '/', environment: { HOME: '/' } };

/** Settings of recipes that are not among those of the hub yet. */
export const OPEN_SETTINGS: readonly string[] = ['bind'];

/** By the heading of their section, without lines of open settings. */
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
  /** The same with more settings for each issuer, as TOML. */
  readonly with: (settings: string) => Config['issuers'];
}

export const RECIPES: readonly Recipe[] = [...recipes].map(([heading, toml]) => {
  const known = toml.replaceAll(new RegExp(`^(${OPEN_SETTINGS.join('|')}) = .*\n`, 'gm'), '');
  const read = (settings: string) =>
    parseConfig(known.replaceAll(/^dialect = /gm, `${settings}\ndialect = `), ORIGIN).issuers;
  return { heading, issuers: read(''), with: read };
});

/** Whether the hub knows a setting of an issuer by now. */
export function isKnown(setting: string): boolean {
  try {
    parseConfig(`[[issuers]]\nissuer = "https://as.example"\n${setting} = 1`, ORIGIN);
    return true;
  } catch (error) {
    if (!isCoded(error)) throw error;
    return error.code !== 'config_unknown_key';
  }
}
