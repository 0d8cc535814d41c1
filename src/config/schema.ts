/**
 * Every setting: its form, its default, what it means. The only source: the types, the checks, `config/latchkey.toml`
 * and `config/latchkey.schema.json` come from here (`npm run generate`; a test holds them together).
 */
import * as z from 'zod/mini';
import { LIMITS } from '../core/limits.ts';
import type { Camel } from './camel.ts';
import {
  brokerUrl,
  bytes,
  clientText,
  fetchUrl,
  filePath,
  flag,
  identifierUrl,
  linePath,
  listenAddress,
  milliseconds,
  name,
  oneOf,
  radioAdapter,
  seconds,
  shortText,
  topicPrefix,
  uuid,
  whole,
} from './values.ts';

/** Says what a setting means, and shows a value where it has no default. Both go into the generated files. */
function setting<T extends z.ZodMiniType>(schema: T, description: string, example?: unknown): T {
  z.globalRegistry.add(schema, { description, ...(example === undefined ? {} : { examples: [example] }) });
  return schema;
}

/** A section that may be left out: then every setting in it has its default. */
function section<Shape extends z.core.$ZodShape>(description: string, shape: Shape) {
  return setting(z.prefault(z.strictObject(shape), {} as never), description);
}

const http = section('The API for clients.', {
  listen: setting(
    z.prefault(listenAddress, '127.0.0.1:8430'),
    'Address and port. Port 0 lets the system choose. Beyond loopback this needs TLS, or `behind_proxy`.',
  ),
  public_url: setting(
    z.optional(identifierUrl),
    'The address by which clients know the hub, if it is not that of `listen`: behind a proxy, or where `listen` is a wildcard. DPoP proofs are made for it.',
    'https://hub.example',
  ),
  tls_cert_file: setting(z.optional(filePath), 'Certificate chain, PEM. Together with `tls_key_file`.', 'hub-cert.pem'),
  tls_key_file: setting(z.optional(filePath), 'Private key of the certificate, PEM.', 'hub-key.pem'),
  behind_proxy: setting(
    z._default(flag(), false),
    'Listen beyond loopback without TLS, because a proxy in front has it. What it costs: whoever can reach this port past the proxy reads tokens as they go by.',
  ),
});

const admin = section('The socket for `latchkey status`, `latchkey devices` and `latchkey audit`.', {
  socket: setting(
    z.optional(filePath),
    'Path of the unix socket. Default: admin.sock in $RUNTIME_DIRECTORY, else in `state_dir`.',
    '/run/latchkey/admin.sock',
  ),
});

const log = section('JSON lines on standard output.', {
  level: setting(z._default(oneOf(['debug', 'info', 'warn', 'error']), 'info'), 'The least important lines to write.'),
});

const clock = section('What the hub believes about the time.', {
  trust: setting(
    z._default(oneOf(['auto', 'system', 'never']), 'auto'),
    '`auto`: the system clock counts once NTP has set it; `system`: it always counts (a machine with a battery clock); `never`: only signed times count.',
  ),
  when_unsure: setting(
    z._default(oneOf(['deny', 'allow']), 'deny'),
    'What becomes of a token that may or may not be expired. What `allow` costs: after a boot without NTP expired tokens are accepted.',
  ),
});

const delivery = section('Tokens on their way to devices.', {
  wait: setting(
    z.prefault(milliseconds({ min: '0s', max: '60s' }), '5s'),
    'How long the request of a client waits for the device before it is answered with 202.',
  ),
  attempt_timeout: setting(
    z.prefault(milliseconds({ min: '1s', max: '10m' }), '30s'),
    'How long one attempt waits for the answer of the device.',
  ),
  retry_max: setting(
    z.prefault(milliseconds({ min: '1s', max: '24h' }), '10m'),
    'Longest pause between two attempts. A device that shows up is tried at once, whatever the pause.',
  ),
  max_per_device: setting(
    z._default(whole(1, 1_024), LIMITS.deliveriesPerDevice),
    'Tokens that wait for one device at most; a client that brings more is refused with `delivery_queue_full`.',
  ),
  max_overall: setting(
    z._default(whole(16, 65_536), LIMITS.deliveriesOverall),
    'Deliveries that are kept at most, ended ones too. Each takes about 1 KiB on the medium and in memory.',
  ),
});

const dpop = section('Proofs of possession by clients (RFC 9449). Every proof carries a nonce of the hub.', {
  window: setting(
    z.prefault(seconds({ min: '5s', max: '5m' }), '60s'),
    'How far `iat` of a proof may be from the time of the hub, either way.',
  ),
});

const trust = section('What devices are given to trust: keys of issuers, and of the hub.', {
  warn_after: setting(
    z.prefault(seconds({ min: '1m', max: '365d' }), '7d'),
    'How long a device may wait for a change of what it trusts before `latchkey status` says so.',
  ),
});

const audit = section(
  'The record of every verdict: `latchkey audit`. What goes past a limit is dropped, the oldest first.',
  {
    max_records: setting(z._default(whole(1_024, 1_000_000), 100_000), 'Records that are kept at most.'),
    max_size: setting(
      z.prefault(bytes({ min: '1MiB', max: '4GiB' }), '48MiB'),
      'Room for records on disk; one takes about 400 bytes.',
    ),
    max_evidence: setting(
      z.prefault(bytes({ min: '0KiB', max: '4GiB' }), '16MiB'),
      'Room for signed answers of authorization servers (RFC 9701) beside the records. They hold what the server says of people; with "0KiB" only their hashes are kept.',
    ),
    retention: setting(
      z.prefault(seconds({ min: '1d', max: '3650d' }), '365d'),
      'How long records are kept, where there is room.',
    ),
    flush_interval: setting(
      z.prefault(milliseconds({ min: '100ms', max: '1h' }), '1s'),
      'How often new records are put on the medium, if there are any. What more costs: a power cut takes the records of as long along.',
    ),
  },
);

const issuer = z.strictObject({
  issuer: setting(
    identifierUrl,
    'Issuer identifier, exactly as in the `iss` claim of its tokens.',
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
        .array(oneOf(['ES256', 'EdDSA', 'PS256', 'RS256']), { error: 'must be a list of algorithms' })
        .check(z.minLength(1, { error: 'must name at least one algorithm' })),
      ['ES256', 'EdDSA', 'PS256', 'RS256'],
    ),
    'Algorithms that its tokens may be signed with.',
  ),
  token_types: setting(
    z._default(
      z
        .array(z.string({ error: 'must be text' }).check(z.minLength(1, { error: 'must not be empty' })), {
          error: 'must be a list of types',
        })
        .check(z.minLength(1, { error: 'must name at least one type' })),
      ['at+jwt'],
    ),
    'Values of the header `typ` that mark an access token (RFC 9068). What more costs: with "JWT" an ID token may pass for an access token.',
  ),
  require_rfc9068: setting(
    z._default(flag(), false),
    'Refuse tokens that lack any claim that RFC 9068 §2.2 requires: sub, client_id, iat and jti too.',
  ),
  exi_without_exp: setting(
    z._default(flag(), false),
    'Take tokens that have `exi` and no `exp` (RFC 9200 §5.10.3), for devices without a clock. The hub counts `exi` from `iat`. What it costs: a device that counts it from when the token comes, and not from when it gave the nonce, has a token that is held back live for up to twice as long as meant.',
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
    'Which tokens of connected devices it is asked about: `opaque`: those that are no JWTs; `always`: JWTs too, so that revocation is seen at once. Nothing is asked without `client_id`.',
  ),
  client_id: setting(
    z.optional(clientText),
    'By which name it knows the hub, a client that may introspect (RFC 7662).',
    'latchkey-hub',
  ),
  client_auth: setting(
    z._default(
      oneOf(['client_secret_basic', 'private_key_jwt', 'tls_client_auth', 'self_signed_tls_client_auth']),
      'client_secret_basic',
    ),
    'How the hub shows that it is that client.',
  ),
  client_secret_file: setting(
    z.optional(filePath),
    'File with the secret for client_secret_basic. Let nobody but the hub read it.',
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
  introspection_signed: setting(
    z._default(oneOf(['required', 'optional']), 'optional'),
    'Whether its answers must be signed (RFC 9701). Signed ones are always verified, and kept as evidence while they serve. What `optional` costs: TLS alone vouches for an answer.',
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

const line = z.strictObject({
  name: setting(name, 'What devices call it: `latchkey devices add --line`.', 'ward-3'),
  path: setting(
    linePath,
    'Serial device, best by its stable name under /dev/serial/by-id, or tcp://host:port of a network serial server.',
    '/dev/serial/by-id/usb-FTDI_FT232R_A50285BI-if00-port0',
  ),
  baud_rate: setting(
    z._default(whole(300, 4_000_000), 115_200),
    'Speed of a serial device, 8N1. A network serial server has its own setting.',
  ),
  ack_timeout: setting(
    z.prefault(milliseconds({ min: '100ms', max: '60s' }), '2s'),
    'How long the first transmission of a message waits before it is repeated (ACK_TIMEOUT of RFC 7252 §4.8).',
  ),
});

const ble = section('Devices that are reached by radio (Bluetooth Low Energy). Off unless `adapter` is set.', {
  adapter: setting(
    z.optional(radioAdapter),
    'The adapter: "auto" for the first one of the system, its name, or the path of a serial port that has a controller on it (H4). The hub needs it for itself.',
    'hci0',
  ),
  baud_rate: setting(z._default(whole(9_600, 4_000_000), 1_000_000), 'Speed of that serial port.'),
  connections: setting(
    z._default(whole(1, 20), 5),
    'Links at once, at most. An adapter that has room for less is noticed, and not asked for more.',
  ),
  scan_duty: setting(
    z._default(whole(5, 100), 50),
    'Part of the time, in percent, in which the hub listens for devices while nothing waits for any; else it listens all the time. What less costs: a device that shows up for a moment only may not be seen.',
  ),
  presence: setting(
    z.prefault(milliseconds({ min: '1s', max: '24h' }), '60s'),
    'How long a device counts as here after it was heard. Not less than it pauses between two advertisements.',
  ),
  linger: setting(
    z.prefault(milliseconds({ min: '0s', max: '10m' }), '2s'),
    'How long a link is kept after the last message, for what may follow. What more costs: the battery of the device, and room for others.',
  ),
  visit: setting(
    z.prefault(milliseconds({ min: '0s', max: '30d' }), '1h'),
    'How long after the last link a device that is here is connected without need, so that it can ask for the time, or about a token. "0s": never.',
  ),
  mtu: setting(
    z._default(whole(64, 517), 517),
    'Largest ATT message that devices are asked to take. Each answers with what it can, from 23 on.',
  ),
  connect_timeout: setting(
    z.prefault(milliseconds({ min: '1s', max: '2m' }), '10s'),
    'How long a device may take to be connected. Not less than it pauses between two advertisements.',
  ),
  operation_timeout: setting(
    z.prefault(milliseconds({ min: '500ms', max: '60s' }), '10s'),
    'How long one step on a link may take: finding the characteristics, a write, an acknowledgement. After it the link is given up.',
  ),
  service_uuid: setting(
    z.prefault(uuid, '8df804b7-3300-496d-9dfa-f8fb40a236bc'),
    'The GATT service of CoAP over GATT. Devices that were made by an older draft have another one.',
  ),
  downstream_uuid: setting(
    z.prefault(uuid, '8bf52767-5625-43ca-a678-70883a366866'),
    'Its characteristic that the hub writes.',
  ),
  upstream_uuid: setting(
    z.prefault(uuid, 'ab3720c8-7fc0-41f8-aa2a-9a45c2c01a4b'),
    'Its characteristic that the device indicates.',
  ),
});

const mqtt = section('MQTT 5.0, for connected devices. Off unless `url` or `embedded` is set.', {
  url: setting(
    z.optional(brokerUrl),
    'The broker. With mqtt:// beyond loopback this needs `unencrypted`.',
    'mqtts://broker.example:8883',
  ),
  username: setting(
    z.optional(shortText()),
    'The user that the hub is at the broker. Best one that no device can be called, such as "@hub".',
    '@hub',
  ),
  password_file: setting(z.optional(filePath), 'File that holds its password, and nothing else.', 'mqtt-password'),
  ca_file: setting(
    z.optional(filePath),
    'Certificate authority that signs the certificate of the broker, PEM, in place of those of the system.',
    'broker-ca.pem',
  ),
  cert_file: setting(
    z.optional(filePath),
    'Certificate of the hub for the broker, PEM. Together with `key_file`.',
    'mqtt-cert.pem',
  ),
  key_file: setting(z.optional(filePath), 'Private key of that certificate, PEM.', 'mqtt-key.pem'),
  client_id: setting(
    z._default(shortText(), 'latchkey-hub'),
    'What the broker knows the session of this hub by. Two hubs at one broker need two.',
  ),
  topic_prefix: setting(
    z._default(topicPrefix, 'latchkey/v1'),
    'Devices ask on <prefix>/<device>/introspect and are answered below <prefix>/<device>/.',
  ),
  json: setting(
    z._default(flag(), false),
    'Take requests in JSON, beside those that carry the MAC of the device. What it costs: whoever the broker lets write on the topic of a device asks as that device; config/mosquitto/acl has the rules.',
  ),
  unencrypted: setting(
    z._default(flag(), false),
    'Use a broker beyond loopback without TLS. What it costs: whoever is on the way reads the password of the hub, and tokens as they go by.',
  ),
  embedded: setting(
    z._default(flag(), false),
    'Run a broker inside the hub, in place of `url`. It keeps nothing on disk; devices log in with their id and their secret.',
  ),
  embedded_listen: setting(z.prefault(listenAddress, '127.0.0.1:1883'), 'Address and port of the embedded broker.'),
  embedded_exposed: setting(
    z._default(flag(), false),
    'Let the embedded broker listen beyond loopback. What it costs: it has no TLS, so whoever is on the network reads passwords of devices, and tokens as they go by.',
  ),
});

export const schema = z.strictObject({
  state_dir: setting(
    z.optional(filePath),
    'Folder of the state: keys, devices, deliveries. Default: $STATE_DIRECTORY, else /var/lib/latchkey if it is there, else ~/.local/state/latchkey.',
    '/var/lib/latchkey',
  ),
  http,
  admin,
  log,
  clock,
  delivery,
  dpop,
  trust,
  audit,
  issuers: setting(
    z._default(z.array(issuer, { error: 'must be written as [[issuers]]' }), []),
    'The authorization servers whose tokens are accepted. One table for each.',
  ),
  lines: setting(
    z._default(z.array(line, { error: 'must be written as [[lines]]' }), []),
    'The serial lines that devices are on. One table for each.',
  ),
  ble,
  mqtt,
});

/** As the file has it, checked and with defaults: names as in TOML. */
export type Settings = z.output<typeof schema>;

type Filled = Omit<Settings, 'state_dir' | 'admin'> & { state_dir: string; admin: { socket: string } };

/** As the program uses it. Paths are absolute. Units are those of values.ts: see `seconds` and `milliseconds` above. */
export type Config = Camel<Filled>;
