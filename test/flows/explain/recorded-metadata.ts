/**
 * Metadata documents of real servers, as they were recorded or documented, without the members that nothing here reads. Names of
 * machines and tenants are examples.
 */
import type { DialectName } from '../../../src/core/dialect-names.ts';
import type { JsonObject } from '../../../src/core/json.ts';

interface Recorded {
  readonly name: string;
  readonly source: string;
  readonly metadata: JsonObject;
  /** What the operator asks about, where it is not the issuer of the document. */
  readonly asked?: string;
  readonly dialect: DialectName | undefined;
  readonly settings: Readonly<Record<string, unknown>>;
  readonly findings: readonly string[];
}

const UNBOUND = { bind: 'first-presenter' } as const;
const ALL_BUT_HMAC = ['PS384', 'ES384', 'RS384', 'ES256', 'RS256', 'ES512', 'PS256', 'PS512', 'RS512'];
const TENANT = '11111111-2222-3333-4444-555555555555';

const keycloak = {
  issuer: 'https://keycloak.example/realms/pid-issuer-realm',
  authorization_endpoint: 'https://keycloak.example/realms/pid-issuer-realm/protocol/openid-connect/auth',
  token_endpoint: 'https://keycloak.example/realms/pid-issuer-realm/protocol/openid-connect/token',
  introspection_endpoint: 'https://keycloak.example/realms/pid-issuer-realm/protocol/openid-connect/token/introspect',
  jwks_uri: 'https://keycloak.example/realms/pid-issuer-realm/protocol/openid-connect/certs',
  introspection_endpoint_auth_methods_supported: [
    'private_key_jwt',
    'client_secret_basic',
    'client_secret_post',
    'tls_client_auth',
    'client_secret_jwt',
  ],
  tls_client_certificate_bound_access_tokens: true,
};

const auth0 = {
  issuer: 'https://example.eu.auth0.com/',
  authorization_endpoint: 'https://example.eu.auth0.com/authorize',
  token_endpoint: 'https://example.eu.auth0.com/oauth/token',
  mfa_challenge_endpoint: 'https://example.eu.auth0.com/mfa/challenge',
  jwks_uri: 'https://example.eu.auth0.com/.well-known/jwks.json',
  id_token_signing_alg_values_supported: ['HS256', 'RS256', 'PS256'],
  token_endpoint_auth_methods_supported: ['client_secret_basic', 'client_secret_post', 'private_key_jwt'],
};

const okta = {
  issuer: 'https://example.oktapreview.com/oauth2/default',
  authorization_endpoint: 'https://example.oktapreview.com/oauth2/default/v1/authorize',
  token_endpoint: 'https://example.oktapreview.com/oauth2/default/v1/token',
  jwks_uri: 'https://example.oktapreview.com/oauth2/default/v1/keys',
  introspection_endpoint: 'https://example.oktapreview.com/oauth2/default/v1/introspect',
  token_endpoint_auth_methods_supported: ['client_secret_basic', 'client_secret_post', 'private_key_jwt', 'none'],
};

const entra = {
  token_endpoint: `https://login.microsoftonline.com/${TENANT}/oauth2/v2.0/token`,
  jwks_uri: `https://login.microsoftonline.com/${TENANT}/discovery/v2.0/keys`,
  issuer: `https://login.microsoftonline.com/${TENANT}/v2.0`,
  authorization_endpoint: `https://login.microsoftonline.com/${TENANT}/oauth2/v2.0/authorize`,
  tenant_region_scope: 'WW',
  cloud_instance_name: 'microsoftonline.com',
  msgraph_host: 'graph.microsoft.com',
};

const spring = {
  issuer: 'https://spring.example',
  authorization_endpoint: 'https://spring.example/oauth2/authorize',
  token_endpoint: 'https://spring.example/oauth2/token',
  jwks_uri: 'https://spring.example/oauth2/jwks',
  introspection_endpoint: 'https://spring.example/oauth2/introspect',
  introspection_endpoint_auth_methods_supported: ['client_secret_basic', 'client_secret_post', 'private_key_jwt'],
  tls_client_certificate_bound_access_tokens: true,
};

const SPRING_SOURCE =
  'https://docs.spring.io/spring-authorization-server/reference/protocol-endpoints.html (a recorded answer of 1.5; 1.4 lacks one member)';
const REDPANDA = 'github.com/redpanda-data/redpanda (tests of its JWT reader, with recorded answers)';

export const RECORDED: readonly Recorded[] = [
  {
    name: 'Keycloak 26, with DPoP',
    source: 'https://auth.eudiw.dev/realms/pid-issuer-realm/.well-known/openid-configuration',
    metadata: { ...keycloak, dpop_signing_alg_values_supported: ALL_BUT_HMAC },
    dialect: 'keycloak',
    settings: { dialect: 'keycloak' },
    findings: [],
  },
  {
    name: 'Keycloak 22, before DPoP',
    source: REDPANDA,
    metadata: keycloak,
    dialect: 'keycloak',
    settings: { dialect: 'keycloak', ...UNBOUND },
    findings: ['no_dpop', 'certificates_only'],
  },
  {
    name: 'Auth0, asked for without its slash',
    source:
      'https://auth.aibanking.dev/.well-known/openid-configuration (a tenant of Auth0), with the address of a tenant',
    metadata: { ...auth0, dpop_signing_alg_values_supported: ['ES256'] },
    asked: 'https://example.eu.auth0.com',
    dialect: 'auth0',
    settings: { dialect: 'auth0' },
    findings: ['issuer_differs', 'no_introspection'],
  },
  {
    name: 'Auth0 of 2023, before DPoP',
    source: REDPANDA,
    metadata: auth0,
    dialect: 'auth0',
    settings: { dialect: 'auth0', ...UNBOUND },
    findings: ['no_dpop', 'no_introspection'],
  },
  {
    name: 'Auth0 at a domain of the owner',
    source: 'https://auth.aibanking.dev/.well-known/openid-configuration',
    metadata: {
      ...auth0,
      issuer: 'https://auth.example/',
      jwks_uri: 'https://auth.example/.well-known/jwks.json',
      dpop_signing_alg_values_supported: ['ES256'],
    },
    dialect: 'auth0',
    settings: { dialect: 'auth0' },
    findings: ['no_introspection'],
  },
  {
    name: 'Okta, a custom authorization server',
    source: 'https://dev-265911.oktapreview.com/oauth2/default/.well-known/openid-configuration',
    metadata: okta,
    dialect: 'okta',
    settings: { dialect: 'okta', ...UNBOUND },
    findings: ['no_dpop'],
  },
  {
    name: 'Okta at a domain of the owner, with DPoP',
    source:
      'https://developer.okta.com/okta-sdk-java/apidocs/com/okta/sdk/resource/model/class-use/OAuthMetadata.DpopSigningAlgValuesSupportedEnum.html',
    metadata: {
      ...okta,
      issuer: 'https://login.example/oauth2/aus1',
      authorization_endpoint: 'https://login.example/oauth2/aus1/v1/authorize',
      jwks_uri: 'https://login.example/oauth2/aus1/v1/keys',
      dpop_signing_alg_values_supported: ['RS256', 'RS384', 'RS512', 'ES256', 'ES384', 'ES512'],
    },
    dialect: 'okta',
    settings: { dialect: 'okta' },
    findings: [],
  },
  {
    name: 'Okta, the org authorization server',
    source: 'https://dev-8636097.okta.com/.well-known/openid-configuration',
    metadata: {
      ...okta,
      issuer: 'https://evilcorp.okta.com',
      authorization_endpoint: 'https://evilcorp.okta.com/oauth2/v1/authorize',
      jwks_uri: 'https://evilcorp.okta.com/oauth2/v1/keys',
      introspection_endpoint: 'https://evilcorp.okta.com/oauth2/v1/introspect',
    },
    dialect: 'okta',
    settings: { dialect: 'okta', ...UNBOUND },
    findings: ['org_server', 'no_dpop'],
  },
  {
    name: 'Entra, version 2',
    source:
      'https://login.microsoftonline.com/TENANT/v2.0/.well-known/openid-configuration (recorded in tests of Azure SDKs)',
    metadata: entra,
    dialect: 'entra',
    settings: { dialect: 'entra', ...UNBOUND },
    findings: ['no_dpop', 'no_introspection'],
  },
  {
    name: 'Entra, version 1, asked for by the tenant',
    source: 'https://login.microsoftonline.com/TENANT/.well-known/openid-configuration',
    metadata: {
      ...entra,
      issuer: `https://sts.windows.net/${TENANT}/`,
      jwks_uri: 'https://login.windows.net/common/discovery/keys',
    },
    asked: `https://login.microsoftonline.com/${TENANT}`,
    dialect: 'entra',
    settings: { issuer: `https://sts.windows.net/${TENANT}/`, dialect: 'entra', ...UNBOUND },
    findings: ['issuer_differs', 'no_dpop', 'no_introspection'],
  },
  {
    name: 'Entra, external tenant at a domain of the owner',
    source:
      'https://login.microsoftonline.com/TENANT/v2.0/.well-known/openid-configuration, with the issuer of an external tenant',
    metadata: { ...entra, issuer: `https://login.example/${TENANT}/v2.0` },
    dialect: 'entra',
    settings: { dialect: 'entra', ...UNBOUND },
    findings: ['no_dpop', 'no_introspection'],
  },
  {
    name: 'Amazon Cognito',
    source: 'https://cognito-idp.us-east-1.amazonaws.com/us-east-1_4OqDoWVrZ/.well-known/openid-configuration',
    metadata: {
      authorization_endpoint: 'https://example.auth.us-east-1.amazoncognito.com/oauth2/authorize',
      id_token_signing_alg_values_supported: ['RS256'],
      issuer: 'https://cognito-idp.us-east-1.amazonaws.com/us-east-1_4OqDoWVrZ',
      jwks_uri: 'https://cognito-idp.us-east-1.amazonaws.com/us-east-1_4OqDoWVrZ/.well-known/jwks.json',
      token_endpoint: 'https://example.auth.us-east-1.amazoncognito.com/oauth2/token',
      token_endpoint_auth_methods_supported: ['client_secret_basic', 'client_secret_post'],
    },
    dialect: 'cognito',
    settings: { dialect: 'cognito', ...UNBOUND },
    findings: ['no_dpop', 'no_introspection'],
  },
  {
    name: 'Spring Authorization Server 1.5',
    source: SPRING_SOURCE,
    metadata: { ...spring, dpop_signing_alg_values_supported: ALL_BUT_HMAC },
    dialect: 'spring',
    settings: { dialect: 'spring' },
    findings: [],
  },
  {
    name: 'Spring Authorization Server 1.4, before DPoP',
    source: SPRING_SOURCE,
    metadata: spring,
    dialect: 'spring',
    settings: { dialect: 'spring', ...UNBOUND },
    findings: ['no_dpop', 'certificates_only'],
  },
  {
    name: 'Ory Hydra 2',
    source: 'github.com/OdysseyMomentumExperience/web3-identity-provider README.md',
    metadata: {
      issuer: 'https://hydra.example/',
      authorization_endpoint: 'https://hydra.example/oauth2/auth',
      token_endpoint: 'https://hydra.example/oauth2/token',
      jwks_uri: 'https://hydra.example/.well-known/jwks.json',
      end_session_endpoint: 'https://hydra.example/oauth2/sessions/logout',
      token_endpoint_auth_methods_supported: ['client_secret_post', 'client_secret_basic', 'private_key_jwt', 'none'],
    },
    dialect: 'hydra',
    settings: { dialect: 'hydra', ...UNBOUND },
    findings: ['no_dpop', 'no_introspection'],
  },
  {
    name: 'PingFederate',
    source: 'https://auth.factset.com/.well-known/openid-configuration',
    metadata: {
      issuer: 'https://pingfederate.example',
      authorization_endpoint: 'https://pingfederate.example/as/authorization.oauth2',
      token_endpoint: 'https://pingfederate.example/as/token.oauth2',
      introspection_endpoint: 'https://pingfederate.example/as/introspect.oauth2',
      jwks_uri: 'https://pingfederate.example/pf/JWKS',
      ping_revoked_sris_endpoint: 'https://pingfederate.example/pf-ws/rest/sessionMgmt/revokedSris',
      ping_end_session_endpoint: 'https://pingfederate.example/idp/startSLO.ping',
    },
    dialect: 'ping',
    settings: { dialect: 'ping', ...UNBOUND },
    findings: ['keys_elsewhere', 'no_dpop'],
  },
  {
    name: 'PingOne',
    source: 'https://developer.pingidentity.com/pingone-api/auth/openid-connect-oauth-2/auth-server-metadata-ccd.md',
    metadata: {
      issuer: `https://auth.pingone.eu/${TENANT}/as`,
      authorization_endpoint: `https://auth.pingone.eu/${TENANT}/as/authorize`,
      token_endpoint: `https://auth.pingone.eu/${TENANT}/as/token`,
      introspection_endpoint: `https://auth.pingone.eu/${TENANT}/as/introspect`,
      jwks_uri: `https://auth.pingone.eu/${TENANT}/as/jwks`,
    },
    dialect: 'ping',
    settings: { dialect: 'ping', ...UNBOUND },
    findings: ['no_dpop'],
  },
  {
    name: 'PingOne at a domain of the owner',
    source: 'https://developer.pingidentity.com/pingone-api/auth/openid-connect-oauth-2/auth-server-metadata-ccd.md',
    metadata: {
      issuer: 'https://sso.example/as',
      token_endpoint: 'https://sso.example/as/token',
      introspection_endpoint: 'https://sso.example/as/introspect',
      jwks_uri: 'https://sso.example/as/jwks',
    },
    dialect: 'ping',
    settings: { dialect: 'ping', ...UNBOUND },
    findings: ['no_dpop'],
  },
  {
    name: 'ForgeRock AM, a realm',
    source:
      'https://am.example.com:8443/am/oauth2/realms/root/realms/alpha/.well-known/oauth-authorization-server (guide of ForgeRock AM)',
    metadata: {
      issuer: 'https://am.example:8443/am/oauth2/alpha',
      jwks_uri: 'https://am.example:8443/am/oauth2/realms/root/realms/alpha/connect/jwk_uri',
      token_endpoint: 'https://am.example:8443/am/oauth2/realms/root/realms/alpha/access_token',
      introspection_endpoint: 'https://am.example:8443/am/oauth2/realms/root/realms/alpha/introspect',
      token_endpoint_auth_methods_supported: ['client_secret_post', 'private_key_jwt', 'client_secret_basic'],
    },
    dialect: 'forgerock',
    settings: { dialect: 'forgerock', ...UNBOUND },
    findings: ['no_dpop'],
  },
  {
    name: 'Duende IdentityServer',
    source: 'https://docs.duendesoftware.com/identityserver/v6/reference/endpoints/discovery',
    metadata: {
      issuer: 'https://identity.example/identity',
      jwks_uri: 'https://identity.example/identity/.well-known/openid-configuration/jwks',
      authorization_endpoint: 'https://identity.example/identity/connect/authorize',
      token_endpoint: 'https://identity.example/identity/connect/token',
      introspection_endpoint: 'https://identity.example/identity/connect/introspect',
      token_endpoint_auth_methods_supported: ['client_secret_basic', 'client_secret_post'],
      dpop_signing_alg_values_supported: ALL_BUT_HMAC,
    },
    dialect: 'identityserver',
    settings: { dialect: 'identityserver' },
    findings: [],
  },
  {
    name: 'IdentityServer4',
    source:
      'https://docs.duendesoftware.com/identityserver/v6/reference/endpoints/discovery (the members that IdentityServer4 has too)',
    metadata: {
      issuer: 'https://identity.example',
      jwks_uri: 'https://identity.example/.well-known/openid-configuration/jwks',
      token_endpoint: 'https://identity.example/connect/token',
      introspection_endpoint: 'https://identity.example/connect/introspect',
    },
    dialect: 'identityserver',
    settings: { dialect: 'identityserver', ...UNBOUND },
    findings: ['no_dpop'],
  },
  {
    name: 'ADFS 2019',
    source: 'https://fs.fabidentity.com/adfs/.well-known/openid-configuration (Microsoft, single log-out with ADFS)',
    metadata: {
      issuer: 'https://fs.example/adfs',
      authorization_endpoint: 'https://fs.example/adfs/oauth2/authorize/',
      token_endpoint: 'https://fs.example/adfs/oauth2/token/',
      jwks_uri: 'https://fs.example/adfs/discovery/keys',
      access_token_issuer: 'http://fs.example/adfs/services/trust',
      microsoft_multi_refresh_token: true,
    },
    dialect: 'adfs',
    settings: {
      issuer: 'http://fs.example/adfs/services/trust',
      jwks_url: 'https://fs.example/adfs/discovery/keys',
      dialect: 'adfs',
      ...UNBOUND,
    },
    findings: ['issuer_of_tokens', 'no_dpop', 'no_introspection'],
  },
  {
    name: 'Glewlwyd 2.7, introspection with a secret or a bearer token',
    source: 'github.com/babelouest/glewlwyd src/plugin/protocol_oidc.c (generate_discovery_content)',
    metadata: {
      issuer: 'https://glewlwyd.example/api/oidc',
      authorization_endpoint: 'https://glewlwyd.example/api/oidc/auth',
      token_endpoint: 'https://glewlwyd.example/api/oidc/token',
      jwks_uri: 'https://glewlwyd.example/api/oidc/jwks',
      introspection_endpoint: 'https://glewlwyd.example/api/oidc/introspect',
      introspection_endpoint_auth_methods_supported: ['client_secret_basic', 'bearer'],
      dpop_signing_alg_values_supported: [...ALL_BUT_HMAC, 'EdDSA', 'ES256K'],
    },
    dialect: 'glewlwyd',
    settings: { dialect: 'glewlwyd' },
    findings: [],
  },
  {
    name: 'Glewlwyd, introspection with a bearer token alone',
    source: 'github.com/babelouest/glewlwyd src/plugin/protocol_oidc.c (generate_discovery_content)',
    metadata: {
      issuer: 'https://glewlwyd.example/api/oidc',
      jwks_uri: 'https://glewlwyd.example/api/oidc/jwks',
      introspection_endpoint: 'https://glewlwyd.example/api/oidc/introspect',
      introspection_endpoint_auth_methods_supported: ['bearer'],
      dpop_signing_alg_values_supported: ALL_BUT_HMAC,
    },
    dialect: 'glewlwyd',
    settings: { dialect: 'glewlwyd' },
    findings: ['introspection_client'],
  },
  {
    name: 'a Bluesky PDS, which no dialect is for',
    source: 'https://bsky.social/.well-known/oauth-authorization-server',
    metadata: {
      issuer: 'https://bsky.example',
      authorization_endpoint: 'https://bsky.example/oauth/authorize',
      token_endpoint: 'https://bsky.example/oauth/token',
      jwks_uri: 'https://bsky.example/oauth/jwks',
      dpop_signing_alg_values_supported: ['RS256', 'PS256', 'ES256', 'ES256K'],
    },
    dialect: undefined,
    settings: { dialect: 'rfc9068' },
    findings: ['server_unknown', 'no_introspection'],
  },
];
