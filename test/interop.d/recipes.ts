/** The settings that docs/servers.md gives for a server, as they stand there. */
import { readFileSync } from 'node:fs';

const DOCS = 'docs/servers.md';

/**
 * The first issuer of the recipe under this heading, for a server that runs here.
 * @throws {Error} if the page has no such recipe
 */
export function recipeFor(server: string, issuer: string): string {
  const [, section = ''] = readFileSync(DOCS, 'utf8').split(`\n## ${server}\n`);
  const [, toml = ''] = /^```toml\n(\[\[issuers\]\]\n(?:[^[`\n].*\n)+)/m.exec(section.split('\n## ')[0] ?? '') ?? [];
  if (!toml.includes('\nissuer = ')) throw new Error(`${DOCS} has no recipe for ${server}`);
  return toml.replace(/^issuer = .*$/m, `issuer = "${issuer}"`);
}
