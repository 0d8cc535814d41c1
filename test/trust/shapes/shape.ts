/** What tokens of real servers look like, and what the hub makes of each: the form of the tables beside this file. */
import type { DialectName } from '../../../src/core/dialect-names.ts';
import type { ErrorCode } from '../../../src/core/error-catalogue.ts';
import type { JsonObject } from '../../../src/core/json.ts';

export const NOW = 1_800_000_000;
/** The audience of the device that every token is for, unless its table says otherwise. */
export const DEVICE = 'https://tube-1.example';
export const CLIENT = 'app-1';
export const SUBJECT = '4c9d1d2e-6c4f-4c39-9d0f-6a2f0a1b7c11';
export const TIMES = { iat: NOW - 5, exp: NOW + 600 } as const;
/** Stands in the claims for the thumbprint of the client's key. */
export const JKT = '(thumbprint of the client)';

/** What becomes of a token on its way to an offline device. */
export type Outcome = 'delivered' | ErrorCode;

export interface Shape {
  readonly dialect: DialectName;
  readonly name: string;
  /** Where the server documents it, or is seen to write it. */
  readonly source: string;
  /** What the server calls it. Only access tokens may be delivered. */
  readonly kind: 'access token' | 'ID token' | 'other';
  /** Members of the header; `alg` and `kid` are put in where they are not named. */
  readonly header: JsonObject;
  readonly claims: JsonObject;
  /** Not a signed JWT: encrypted as a whole, or no JWT at all. */
  readonly form?: 'encrypted' | 'opaque';
  /** What the device is called, where that is not `DEVICE`. */
  readonly audience?: string;
  /** The scope that the device gets; `read` unless said. */
  readonly scope?: readonly string[];
  /** The client that the token names; `CLIENT` unless said, null for none. */
  readonly client?: string | null;
  /** Settings beside those of the recipe, as TOML. */
  readonly settings?: string;
  /** Under the settings that an issuer has by default. */
  readonly byDefault: Outcome;
  /** Under the recipe of docs/servers.md. */
  readonly underDialect: Outcome;
}

/** Its server binds no key, and the recipe has `bind = "first-presenter"`. */
export const UNBOUND = { underDialect: 'delivered' } as const satisfies Partial<Shape>;

/** Its server binds keys, and this client asked for none: the recipe says to add the setting. */
export const UNBOUND_CLIENT = {
  ...UNBOUND,
  settings: 'bind = "first-presenter"',
} as const satisfies Partial<Shape>;

/** A token that is encrypted as a whole, and not for the hub. */
export const ENCRYPTED = {
  form: 'encrypted',
  byDefault: 'token_encrypted',
  underDialect: 'token_encrypted',
} as const satisfies Partial<Shape>;
