/** What the tests have to know of realm.json: its names and secrets are only there. */
import type { KeyObject } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { Person } from './login.ts';

export const TUBE_AUDIENCE = 'https://tube-1.devices.example';
export const EKG_AUDIENCE = 'https://ekg-1.devices.example';

interface Representation extends Readonly<Record<string, unknown>> {
  readonly realm: string;
  readonly clients: readonly { readonly clientId: string; readonly secret?: string }[];
  readonly users: readonly { readonly username: string; readonly credentials: readonly { readonly value: string }[] }[];
}

export class Realm {
  readonly representation: Representation;

  constructor(file: string) {
    this.representation = JSON.parse(readFileSync(file, 'utf8')) as Representation;
  }

  get name(): string {
    return this.representation.realm;
  }

  /** Secret of a confidential client. */
  secretOf(clientId: string): string {
    const secret = this.representation.clients.find((client) => client.clientId === clientId)?.secret;
    if (secret === undefined) throw new Error(`${clientId} has no secret`);
    return secret;
  }

  /** The realm, with the public key (P-256) of a client that authenticates by private_key_jwt. */
  withClientKey(clientId: string, key: KeyObject): Representation {
    const jwks = { keys: [{ ...key.export({ format: 'jwk' }), alg: 'ES256', use: 'sig', kid: 'hub-1' }] };
    const attributes = { 'use.jwks.string': 'true', 'jwks.string': JSON.stringify(jwks) };
    const clients = this.representation.clients.map((client) =>
      client.clientId === clientId ? { ...client, attributes } : client,
    );
    return { ...this.representation, clients };
  }

  person(username: string): Person {
    const password = this.representation.users.find((user) => user.username === username)?.credentials[0]?.value;
    if (password === undefined) throw new Error(`${username} has no password`);
    return { username, password };
  }
}
