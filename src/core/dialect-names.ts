/** Authorization servers that the hub has presets for: what each writes differently is in trust/dialects.ts. */
export const DIALECT_NAMES = [
  'rfc9068',
  'keycloak',
  'entra',
  'okta',
  'auth0',
  'cognito',
  'spring',
  'ping',
  'forgerock',
  'identityserver',
  'hydra',
  'adfs',
  'glewlwyd',
] as const;

export type DialectName = (typeof DIALECT_NAMES)[number];
