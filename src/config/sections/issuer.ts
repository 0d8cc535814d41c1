/** Settings of one authorization server. */
import * as z from 'zod/mini';
import { DIALECT_NAMES } from '../../core/dialect-names.ts';
import { IGNORABLE_HEADERS } from '../../core/ignorable-headers.ts';
import { ALGORITHM_NAMES, DEFAULT_ALGORITHMS } from '../../core/jwt-algorithms.ts';
import { readMemberDemand } from '../../core/member-demand.ts';
import { BIND_MODES } from '../../core/verified-token.ts';
import { setting } from '../setting.ts';
import {
  clientText,
  fetchUrl,
  filePath,
  flag,
  issuerIdentifier,
  milliseconds,
  oneOf,
  scopePattern,
  seconds,
  shortText,
} from '../values.ts';

/** A list of texts that has at least one. */
function texts(what: string) {
  return z
    .array(z.string({ error: 'must be text' }).check(z.minLength(1, { error: 'must not be empty' })), {
      error: `must be a list of ${what}s`,
    })
    .check(z.minLength(1, { error: `must name at least one ${what}` }));
}

const PREFIX_WORDS = 'must be 1 to 64 characters that a token may have';

/** RFC 6749 appendix A.12: an access token is visible ASCII. */
const opaquePrefixes = z
  .array(z.string({ error: PREFIX_WORDS }).check(z.regex(/^[\x21-\x7e]{1,64}$/, { error: PREFIX_WORDS })), {
    error: 'must be a list of texts',
  })
  .check(z.minLength(1, { error: 'must name at least one text' }));

const DEMAND_WORDS = 'must be "name", "name|other" or "name=value|value"';

const demand = z
  .string({ error: DEMAND_WORDS })
  .check(z.refine((text) => readMemberDemand(text) !== undefined, { error: DEMAND_WORDS }));

const demands = z.array(demand, { error: 'must be a list of claims' });

const IGNORABLE: ReadonlySet<string> = new Set(IGNORABLE_HEADERS);

const ignoredHeaders = z.array(
  demand.check(
    z.refine((text) => readMemberDemand(text)?.names.every((name) => IGNORABLE.has(name)) ?? true, {
      error: 'must be of x5c, zip or enc: no other member may be ignored',
    }),
  ),
  { error: 'must be a list of header members' },
);

export const issuer = z.strictObject({
  issuer: setting(
    issuerIdentifier,
    'Issuer identifier, exactly as in the `iss` claim of its tokens. One that begins with http: needs `jwks_url` or `jwks_file`.',
    'https://as.example',
  ),
  discovery_url: setting(
    z.optional(fetchUrl),
    'Address of its metadata, if it is at neither of the places of RFC 8414 and OpenID Connect Discovery.',
    'https://as.example/.well-known/oauth-authorization-server',
  ),
  jwks_url: setting(
    z.optional(fetchUrl),
    'Address of its key set; then nothing is discovered.',
    'https://as.example/jwks',
  ),
  jwks_file: setting(
    z.optional(filePath),
    'File with its key set (RFC 7517); then nothing is fetched, and a withdrawn key stays trusted until the file has changed and the hub was started again.',
    'as-jwks.json',
  ),
  ca_file: setting(
    z.optional(filePath),
    'Certificate authority that signs its TLS certificate, PEM, in place of those of the system.',
    'as-ca.pem',
  ),
  algorithms: setting(
    z._default(
      z
        .array(oneOf(ALGORITHM_NAMES), { error: 'must be a list of algorithms' })
        .check(z.minLength(1, { error: 'must name at least one algorithm' })),
      [...DEFAULT_ALGORITHMS],
    ),
    `Algorithms that its tokens may be signed with, of ${ALGORITHM_NAMES.join(', ')}. EdDSA and Ed25519 are two names of one. HMAC (HS256 and the like) is for no issuer: the hub could sign with such a key itself.`,
  ),
  dialect: setting(
    z._default(oneOf(DIALECT_NAMES), 'rfc9068'),
    'Which server it is: a set of defaults for the settings from `token_types` to `confirmation_kid`. docs/servers.md has a recipe for each, and what cannot be had with it.',
  ),
  token_types: setting(
    z.optional(texts('type')),
    'Values of the header `typ` that mark an access token (RFC 9068); "none" stands for no `typ`. Default: that of the dialect. What "JWT" and "none" cost: an ID token may pass for an access token, unless `required_claims` names what only access tokens of this server have.',
    ['at+jwt'],
  ),
  scope_claims: setting(
    z.optional(texts('claim')),
    'The first of these claims that a token has holds its scope: text, or a list of texts. Default: that of the dialect.',
    ['scope', 'scp'],
  ),
  audience_claims: setting(
    z.optional(texts('claim')),
    'The first of these claims that a token has, and that is no empty list, says whom it is for. Default: that of the dialect. What another one than `aud` costs: the server may give the same value to tokens for others.',
    ['aud'],
  ),
  client_claims: setting(
    z.optional(texts('claim')),
    'The first of these claims that a token has names the client. Default: that of the dialect.',
    ['client_id'],
  ),
  required_claims: setting(
    z.optional(demands),
    'Claims that a token must have: "name", "name|other" for one of several, or "name=value|value" for one of these texts. Default: that of the dialect, for one with `typ: JWT` or none what keeps out ID tokens. With `introspection = "always"` the answer of the server may have a claim that a token of a connected device lacks.',
    ['token_use=access'],
  ),
  ignored_headers: setting(
    z.optional(ignoredHeaders),
    'Header members of x5c, zip and enc that its tokens may have: "name", or "name=value". They are never obeyed. Default: that of the dialect.',
    ['zip=NONE'],
  ),
  encryption_key: setting(
    z._default(oneOf(['EC', 'RSA']), 'EC'),
    'Which type of key the hub publishes for it at `/jwks?issuer=`, to encrypt tokens to, or the key in `cnf.jwe`: `EC` (P-256, for ECDH-ES), or `RSA` (2048 bits, for RSA-OAEP-256), for a server that encrypts to RSA alone, such as Auth0. What `RSA` costs: by a half more work for each encrypted token, also for one that any client made up.',
  ),
  require_rfc9068: setting(
    z._default(flag(), false),
    'Refuse tokens that lack any claim that RFC 9068 §2.2 requires: sub, client_id, iat and jti too.',
  ),
  exi_without_exp: setting(
    z._default(flag(), false),
    'Take tokens that have `exi` and no `exp` (RFC 9200 §5.10.3), for devices without a clock. The hub counts `exi` from `iat`. What it costs: a device that counts it from when the token comes, and not from when it gave the nonce, has a token that is held back live for up to twice as long as meant.',
  ),
  confirmation_kid: setting(
    z.optional(oneOf(['key-id', 'thumbprint'])),
    'What `kid` in the `cnf` of its tokens is: `key-id`, the name of a key that the device holds; `thumbprint`, the JWK thumbprint of the key of the client (RFC 7638), as Entra writes it. A thumbprint counts as `jkt`. Default: that of the dialect.',
    'thumbprint',
  ),
  bind: setting(
    z._default(oneOf(BIND_MODES), 'token'),
    'What becomes of its tokens without `cnf`. `token`: they stay bearer tokens, which offline devices refuse. `first-presenter`: the client presents the token with a DPoP proof, and the hub binds the token to that key until it is dead. What it costs: an attacker who steals a token before its client has presented it can present it first, and then owns it. After a start of the hub a token that was issued before, and not presented yet, is refused; for as long as `leeway` so is a new one.',
  ),
  shared_audience: setting(
    z.optional(shortText(255)),
    'An `aud` of its tokens that stands for many devices. `device_by` says how such a token names its device. Tokens with the audience of one device are taken as well.',
    'https://devices.example',
  ),
  device_by: setting(
    z.optional(oneOf(['scope', 'claim', 'authorization_details'])),
    'How a token with the shared audience names its device: in its scopes, in a claim, or in `authorization_details` (RFC 9396). It must name one registered device.',
    'scope',
  ),
  scope_pattern: setting(
    z.optional(scopePattern),
    'How a scope names device and permission, for `device_by = "scope"`. `{device}` is the id of a device. Scopes of another form are left out.',
    '{device}/{scope}',
  ),
  device_claim: setting(
    z.optional(shortText()),
    'The claim with the id of the device, for `device_by = "claim"`.',
    'device',
  ),
  authorization_details_type: setting(
    z.optional(shortText()),
    'The `type` of `authorization_details` that are for devices, for `device_by = "authorization_details"`. `identifier` is the id of a device, or `locations` has its audience; `actions` are the scope.',
    'device_access',
  ),
  offline_limit: setting(
    z.prefault(seconds({ min: '1m', max: '365d' }), '30d'),
    'How long its keys serve while it cannot be reached. What more costs: a key that it withdrew is trusted for as long.',
  ),
  leeway: setting(
    z.prefault(seconds({ min: '0s', max: '5m' }), '60s'),
    'How far its clock may run ahead of that of the hub, for nbf and iat. Never lengthens a token: exp has no leeway.',
  ),
  refresh_min: setting(z.prefault(seconds({ min: '1s', max: '24h' }), '60s'), 'Shortest time between two refreshes.'),
  refresh_max: setting(
    z.prefault(seconds({ min: '1m', max: '30d' }), '24h'),
    'Longest time between two refreshes, whatever its Cache-Control says.',
  ),
  unknown_kid_cooldown: setting(
    z.prefault(seconds({ min: '1s', max: '1h' }), '30s'),
    'Shortest time between two refreshes that tokens with an unknown `kid` set off.',
  ),
  introspection: setting(
    z._default(oneOf(['never', 'opaque', 'always']), 'opaque'),
    'Which tokens of connected devices it is asked about: `opaque`: those that are no JWTs; `always`: JWTs too, so that revocation is seen at once. Then it also says whether a JWT is an access token that lacks a type or a claim which the settings demand. Nothing is asked without `client_id`.',
  ),
  client_id: setting(
    z.optional(clientText),
    'By which name it knows the hub, a client that may introspect (RFC 7662).',
    'latchkey-hub',
  ),
  client_auth: setting(
    z._default(
      oneOf([
        'client_secret_basic',
        'client_secret_post',
        'private_key_jwt',
        'tls_client_auth',
        'self_signed_tls_client_auth',
      ]),
      'client_secret_basic',
    ),
    'How the hub shows that it is that client.',
  ),
  client_secret_file: setting(
    z.optional(filePath),
    'File with the secret for client_secret_basic or client_secret_post. Only the user of the hub should be able to read it.',
    'as-client-secret',
  ),
  client_key_file: setting(
    z.optional(filePath),
    'Private key, PEM: for private_key_jwt the one to sign with, for the TLS methods that of the certificate.',
    'as-client-key.pem',
  ),
  client_key_id: setting(
    z.optional(clientText),
    '`kid` of that key at the server, for private_key_jwt, where it has several of the hub.',
    'hub-1',
  ),
  client_cert_file: setting(
    z.optional(filePath),
    'Certificate chain for the TLS methods, PEM (RFC 8705).',
    'as-client-cert.pem',
  ),
  introspection_url: setting(
    z.optional(fetchUrl),
    'Address of its introspection endpoint, if its metadata does not name the right one.',
    'https://as.example/introspect',
  ),
  assume_audience: setting(
    z.optional(shortText(255)),
    'The audience of introspection answers that name none: `aud` is missing or an empty list. It may be that of one device, or `shared_audience`. What it costs: a token that the server issued for another service, and whose answer names no audience, is accepted here too. Default: such a token is good for no device.',
    'coap://ekg-1',
  ),
  opaque_prefixes: setting(
    z.optional(opaquePrefixes),
    'What its opaque tokens begin with, for a hub with several issuers. Then no other token is sent to it, and a token that begins so is sent to no other issuer, unless that one names the same. So one issuer that fails does not hold up the tokens of the others. What a wrong text costs: a good token is inactive.',
    ['ory_at_'],
  ),
  introspection_signed: setting(
    z._default(oneOf(['required', 'optional']), 'optional'),
    'Whether its answers must be signed (RFC 9701). Signed ones are always verified, and kept as evidence while they serve. What `optional` costs: TLS alone authenticates an answer.',
  ),
  introspection_cache: setting(
    z.prefault(seconds({ min: '0s', max: '1h' }), '60s'),
    'How long "active" is believed without asking again, at most: never past the end of the token, nor longer than `max-age` of the answer. What more costs: a revoked token is accepted for as long.',
  ),
  introspection_timeout: setting(
    z.prefault(milliseconds({ min: '100ms', max: '60s' }), '5s'),
    'How long one question may take, a second attempt after a lost connection included.',
  ),
  stale_grace: setting(
    z.prefault(seconds({ min: '0s', max: '24h' }), '0s'),
    'How long "active" is still given out beyond that while it cannot be reached, marked as stale. What it costs: a token revoked before or during the outage is accepted for as long.',
  ),
});
