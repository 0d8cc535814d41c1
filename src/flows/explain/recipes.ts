/** Where docs/servers.md says how a server is set up. */
import type { DialectName } from '../../core/dialect-names.ts';
import type { JsonObject } from '../../core/json.ts';
import { dialectOfToken } from '../../trust/recognise-dialect.ts';

/** Of the section of docs/servers.md for each dialect. */
export const RECIPE_HEADINGS: Readonly<Record<DialectName, string>> = {
  rfc9068: 'RFC 9068',
  keycloak: 'Keycloak',
  entra: 'Microsoft Entra',
  okta: 'Okta',
  auth0: 'Auth0',
  cognito: 'Amazon Cognito',
  spring: 'Spring Authorization Server',
  ping: 'PingFederate and PingOne',
  forgerock: 'PingAM and ForgeRock',
  identityserver: 'IdentityServer',
  hydra: 'Ory Hydra',
  adfs: 'ADFS',
  glewlwyd: 'Glewlwyd',
};

/** For the end of a sentence: where it is written how; nothing for a server that is not recognised. */
export function recipeFor(header: JsonObject, claims: JsonObject, configured: DialectName): string {
  const dialect = dialectOfToken(header, claims, configured);
  return dialect === undefined ? '' : ` ("${RECIPE_HEADINGS[dialect]}" of docs/servers.md)`;
}
