/** What `latchkey token check` says of each token of the table that is refused, to the letter. */

/** Settings of the issuer, for tokens that the hub refuses by default and accepts under the recipe. */
export const REMEDIES: Readonly<Record<string, readonly string[]>> = {
  'RFC 9068 signed with ES384, where the operator allows it': [
    'algorithms = ["ES256","ES384","EdDSA","PS256","RS256"]',
  ],
  'RFC 9068 without a key': ['bind = "first-presenter"'],
  'RFC 9068 with a certificate in the header (gematik ZETA)': ['ignored_headers = ["x5c"]'],
  'Keycloak, a user with DPoP': ['dialect = "keycloak"'],
  'Keycloak, a machine with DPoP': ['dialect = "keycloak"'],
  'Keycloak, a machine with DPoP and the member kc-jkt-type of later versions': ['dialect = "keycloak"'],
  'Keycloak before 23, a machine with DPoP: its type is Bearer': ['dialect = "keycloak"'],
  'Keycloak, a lightweight access token with DPoP': ['dialect = "keycloak"'],
  'Keycloak, a user with DPoP and the audience account': ['dialect = "keycloak"'],
  'Keycloak before 25, a user with DPoP and a nonce': ['dialect = "keycloak"'],
  'Keycloak, a user without DPoP': ['dialect = "keycloak"', 'bind = "first-presenter"'],
  'Entra v2, a user': ['dialect = "entra"', 'bind = "first-presenter"'],
  'Entra v2, a daemon with app roles': ['dialect = "entra"', 'bind = "first-presenter"'],
  'Entra v2, a user, of a registration for many devices': [
    'dialect = "entra"',
    'shared_audience = "api://devices"',
    'device_by = "scope"',
    'scope_pattern = "{device}:{scope}"',
  ],
  'Entra v1, a user': ['dialect = "entra"', 'bind = "first-presenter"'],
  'Entra v2, a user with the roles of the user beside scp': ['dialect = "entra"', 'bind = "first-presenter"'],
  'Entra v1, bound by req_cnf': ['dialect = "entra"'],
  'Okta, a user with DPoP': ['dialect = "okta"'],
  'Okta, a machine with DPoP': ['dialect = "okta"'],
  'Okta, a user without DPoP': ['dialect = "okta"', 'bind = "first-presenter"'],
  'Auth0, a machine': ['dialect = "auth0"', 'bind = "first-presenter"'],
  'Auth0, a machine with DPoP': ['dialect = "auth0"'],
  'Auth0, a user with openid and DPoP': ['dialect = "auth0"'],
  'Auth0, permissions by role and no scope asked for': ['dialect = "auth0"'],
  'Cognito, a user': ['dialect = "cognito"', 'bind = "first-presenter"'],
  'Cognito, a machine': ['dialect = "cognito"', 'bind = "first-presenter"'],
  'Cognito, a machine whose app client is for many devices': [
    'dialect = "cognito"',
    'bind = "first-presenter"',
    'shared_audience = "app-1"',
    'device_by = "scope"',
    'scope_pattern = "{device}/{scope}"',
  ],
  'Spring, a user with DPoP': ['dialect = "spring"'],
  'Spring, a machine with DPoP': ['dialect = "spring"'],
  'Spring, a user without DPoP': ['dialect = "spring"', 'bind = "first-presenter"'],
  'PingFederate, a user with DPoP': ['dialect = "ping"'],
  'PingFederate, a machine with DPoP and the scope as a list': ['dialect = "ping"'],
  'PingFederate, a user without DPoP': ['dialect = "ping"', 'bind = "first-presenter"'],
  'PingOne, a machine': ['dialect = "ping"', 'bind = "first-presenter"'],
  'PingOne, a user, with the type of RFC 9068': ['bind = "first-presenter"'],
  'PingAM, a user': ['dialect = "forgerock"', 'bind = "first-presenter"'],
  'PingAM, a machine': ['dialect = "forgerock"', 'bind = "first-presenter"'],
  'PingAM, a machine with DPoP': ['dialect = "forgerock"'],
  'ForgeRock AM, a user with the nonce of the request': ['dialect = "forgerock"'],
  'OpenAM, a user, with zip NONE in the header and no client': ['dialect = "forgerock"'],
  'IdentityServer4, a machine': ['bind = "first-presenter"'],
  'IdentityServer4, a user, with AccessTokenJwtType left empty': [
    'dialect = "identityserver"',
    'bind = "first-presenter"',
  ],
  'Hydra, a user': ['dialect = "hydra"', 'bind = "first-presenter"'],
  'Hydra, a machine': ['dialect = "hydra"', 'bind = "first-presenter"'],
  'Hydra, a machine, with the scope as text': ['dialect = "hydra"', 'bind = "first-presenter"'],
  'ADFS, a user': ['dialect = "adfs"', 'bind = "first-presenter"'],
  'ADFS, a machine': ['dialect = "adfs"', 'bind = "first-presenter"'],
  'ADFS 2016, a user, without a kid': ['dialect = "adfs"', 'bind = "first-presenter"'],
  'Glewlwyd, a user without DPoP': ['bind = "first-presenter"'],
};

/** The server is told to stop it, or the hub gets a key for it. */
const ENCRYPTED = /encrypt/;

/** Why no setting helps, and what does: by default, and under the recipe where that is something else. */
export const REASONS: Readonly<Record<string, readonly (string | RegExp)[]>> = {
  'RFC 9068, encrypted (RFC 7519 §5.2)': [ENCRYPTED],
  'an ID token of OpenID Connect Core': [
    'This is no access token: it has nonce and no scope, as ID tokens have. Send the access token. ID tokens are refused under every dialect.',
  ],
  'Keycloak, a machine without an audience mapper': [
    'The token is for "account" and not for this device: ask the server for a token with the audience "https://tube-1.example" ("Keycloak" of docs/servers.md).',
  ],
  'Keycloak, a machine with neither a role nor an audience mapper': [
    'The token is for nobody and not for this device: ask the server for a token with the audience "https://tube-1.example" ("Keycloak" of docs/servers.md).',
  ],
  'Keycloak, an ID token': [
    'This is no access token: it has at_hash, as ID tokens and logout tokens have. Send the access token. ID tokens are refused under every dialect.',
  ],
  'Keycloak, an ID token of the grant of a machine, without at_hash and nonce': [
    'This is no access token: its claim typ is not one of an access token. Send the access token. ID tokens are refused under every dialect.',
  ],
  'Keycloak, a refresh token': [
    'This is no access token: its claim typ is not one of an access token. Send the access token. ID tokens are refused under every dialect.',
  ],
  'Keycloak, a logout token': [
    'This is no access token: it has events, as ID tokens and logout tokens have. Send the access token. ID tokens are refused under every dialect.',
  ],
  'Entra v2, a daemon without any role': [
    'None of its scopes is one of the device: ask the server for "read" ("Microsoft Entra" of docs/servers.md).',
  ],
  'Entra v2, an ID token': [
    'It has no mark of an access token of this server (dialect "entra"). If it is an ID token or a refresh token, send the access token.',
  ],
  'Entra v1, an ID token with at_hash': [
    'This is no access token: it has at_hash, as ID tokens and logout tokens have. Send the access token. ID tokens are refused under every dialect.',
  ],
  'Okta, a token of the org authorization server': [
    'The org authorization server of Okta issued it: such tokens are for Okta alone. Ask a custom authorization server, such as https://example.okta.com/oauth2/default.',
  ],
  'Okta, an ID token': [
    'This is no access token: it has nonce and no scope, as ID tokens have. Send the access token. ID tokens are refused under every dialect.',
  ],
  'Auth0, a machine with DPoP and without a scope': [
    'It has no mark of an access token of this server (dialect "auth0"). If it is an ID token or a refresh token, send the access token.',
    'It has no scope. ID tokens have none either, so the hub takes it for one: ask the server for "read" ("Auth0" of docs/servers.md), and send the access token.',
  ],
  'Auth0, a user with openid, without DPoP': [
    'Ask for a token with one audience, or have the AS bind it to a key (DPoP).',
  ],
  'Auth0, bound to a certificate': [
    'The token is bound to a certificate, which an offline device never sees: have the server bind it by DPoP.',
  ],
  'Auth0, encrypted': [ENCRYPTED],
  'Auth0, an ID token': [
    'It has no mark of an access token of this server (dialect "auth0"). If it is an ID token or a refresh token, send the access token.',
  ],
  'Cognito, a machine whose app client is for many devices, for another one': [
    'The token has no aud, and the device is registered as "https://tube-1.example": name the device by its app client, here "app-1", or by a scope ("Amazon Cognito" of docs/servers.md).',
    'The shared audience is right, and the token does not name this device: ask the server for the scope "tube-1/read".',
  ],
  'Cognito, a user who signed in without managed login': [
    'None of its scopes is one of the device: ask the server for "read" ("Amazon Cognito" of docs/servers.md).',
  ],
  'Cognito, a machine of another app client': [
    'Without aud the token is for its app client, "other-app": use a token of the client "app-1", or register the device with --audience "other-app" ("Amazon Cognito" of docs/servers.md).',
  ],
  'Cognito, an ID token': [
    'This is no access token: its claim token_use is not one of an access token. Send the access token. ID tokens are refused under every dialect.',
  ],
  'Cognito, a refresh token': [ENCRYPTED],
  'Spring, a user with DPoP and no customizer: the audience is the client': [
    'The token is for "app-1" and not for this device: ask the server for a token with the audience "https://tube-1.example" ("Spring Authorization Server" of docs/servers.md).',
  ],
  'Spring, an ID token': [
    'This is no access token: it has nonce and no scope, as ID tokens have. Send the access token. ID tokens are refused under every dialect.',
  ],
  'PingFederate, a machine for another device, without the name of its manager': [
    'It has no mark of an access token of this server (dialect "identityserver"). If it is an ID token or a refresh token, send the access token.',
    'The token is for "https://tube-2.example" and not for this device: ask the server for a token with the audience "https://tube-1.example" ("PingFederate and PingOne" of docs/servers.md).',
  ],
  'PingFederate, an ID token': [
    'This is no access token: it has nonce and no scope, as ID tokens have. Send the access token. ID tokens are refused under every dialect.',
  ],
  'PingOne, an ID token': [
    'This is no access token: it has at_hash, as ID tokens and logout tokens have. Send the access token. ID tokens are refused under every dialect.',
  ],
  'ForgeRock AM, a user, compressed': [
    'The payload is compressed (zip is "DEF"): switch compression off at the server.',
  ],
  'PingAM, signed with its default HMAC': [
    'No issuer may use "HS256": have the server sign with one of ES256, ES384, ES512, EdDSA, Ed448, PS256, PS384, PS512, RS256, RS384, RS512.',
  ],
  'PingAM, encrypted': [ENCRYPTED],
  'PingAM, a refresh token': [
    'This is no access token: its claim tokenName is not one of an access token. Send the access token. ID tokens are refused under every dialect.',
  ],
  'PingAM, an ID token': [
    'This is no access token: its claim tokenName is not one of an access token. Send the access token. ID tokens are refused under every dialect.',
  ],
  'IdentityServer, a reference token': [
    'An offline device cannot ask about it. Have the server write JWTs for this API.',
  ],
  'IdentityServer, an ID token': [
    'This is no access token: it has at_hash, as ID tokens and logout tokens have. Send the access token. ID tokens are refused under every dialect.',
  ],
  'Hydra, a machine that asked for no audience': [
    'The token is for nobody and not for this device: ask the server for a token with the audience "https://tube-1.example" ("Ory Hydra" of docs/servers.md).',
  ],
  'Hydra, an opaque token': ['An offline device cannot ask about it. Have the server write JWTs for this API.'],
  'Hydra, an ID token': [
    'This is no access token: it has auth_time, and neither a client nor a scope, as ID tokens have. Send the access token. ID tokens are refused under every dialect.',
  ],
  'ADFS, a user, for the client itself': [
    'The token is for "microsoft:identityserver:app-1" and not for this device: ask the server for a token with the audience "https://tube-1.example" ("ADFS" of docs/servers.md).',
  ],
  'ADFS, an ID token: it has another issuer': [
    'This is no access token: it has nonce and no scope, as ID tokens have. Send the access token.',
  ],
  'ADFS, an ID token with the claims of the access token (scope allatclaims)': [
    'ADFS writes this issuer into ID tokens. Its access tokens have the one that is configured: send the access token.',
  ],
  'Glewlwyd, a client that named no resource: the audience is the scope': [
    'The token is for "read" and not for this device: ask the server for a token with the audience "https://tube-1.example" ("Glewlwyd" of docs/servers.md).',
  ],
  'Glewlwyd, an ID token': [
    'This is no access token: it has at_hash, as ID tokens and logout tokens have. Send the access token. ID tokens are refused under every dialect.',
  ],
};
