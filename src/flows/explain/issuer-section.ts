/** A checked issuer as TOML: what the configuration takes, with all that is known of the server in comments. */
import { printable } from '../../core/printable.ts';
import { shown } from '../../core/shown.ts';
import type { IssuerCheck, KeyFact } from './check-issuer.ts';
import { RECIPE_HEADINGS } from './recipes.ts';

/** Keys that the comments name. */
const MOST_KEYS = 16;

interface Places {
  readonly metadataAddress: string;
  readonly jwksUri: string;
  readonly caFile?: string | undefined;
}

/** Lines without their ends: a whole configuration file, or a part of one. */
export function issuerSection(check: IssuerCheck, { caFile, jwksUri, metadataAddress }: Places): readonly string[] {
  const { dialect, findings, keys, settings } = check;
  const { issuer, ...others } = settings;
  const written = { issuer, ...(caFile === undefined ? {} : { ca_file: caFile }), ...others };
  return [
    ...commented(`metadata: ${metadataAddress}`, `keys: ${jwksUri}`, ...keyLines(keys)),
    ...commented(
      `server: ${dialect ?? 'not known'}. What cannot be had with it, and how to set it up: "${RECIPE_HEADINGS[dialect ?? 'rfc9068']}" of docs/servers.md`,
    ),
    ...findings.flatMap(({ finding, fix, says }) => commented(`! ${finding}: ${says}`, `  ${fix}`)),
    '[[issuers]]',
    ...Object.entries(written).map(([name, value]) => `${name} = ${toml(value)}`),
    ...clientLines(check),
  ];
}

function keyLines(keys: readonly KeyFact[]): readonly string[] {
  const lines = keys.slice(0, MOST_KEYS).map(({ algorithms, kid, kind, unused }) => {
    const use = unused === undefined ? `for ${algorithms.join(', ')}` : `not used: ${unused}`;
    return `  key ${kid === undefined ? 'without kid' : shown(kid)}: ${kind}, ${use}`;
  });
  return keys.length > MOST_KEYS ? [...lines, `  and ${keys.length - MOST_KEYS} more keys`] : lines;
}

/** What only the operator can give: the name and the secret of the hub at the server. */
function clientLines({ introspection, settings }: IssuerCheck): readonly string[] {
  if (introspection === undefined) return [];
  const { address, method } = introspection;
  const isSecret = method === 'client_secret_basic' || method === 'client_secret_post';
  return commented(
    `For connected devices the hub can ask about opaque tokens and revocation at ${address}, once it is a client there:`,
    'client_id = "latchkey-hub"',
    ...(method === 'client_secret_basic' ? [] : [`client_auth = "${method}"`]),
    ...(isSecret ? ['client_secret_file = "as-client-secret"'] : ['client_key_file = "as-client-key.pem"']),
    ...(method.endsWith('tls_client_auth') ? ['client_cert_file = "as-client-cert.pem"'] : []),
    // With jwks_url nothing is discovered.
    ...(settings.jwks_url === undefined ? [] : [`introspection_url = ${toml(address)}`]),
  );
}

/** A comment takes no control character but the tab (TOML 1.0). */
function commented(...lines: readonly string[]): readonly string[] {
  return lines.map((line) => `# ${printable(line)}`);
}

/** What the values are made of is ASCII, or was written by the operator: then JSON strings are basic strings of TOML, but for DEL. */
function toml(value: string | readonly string[] | undefined): string {
  return JSON.stringify(value).replaceAll('\u007f', '\\u007f');
}
