/**
 * Every error that Latchkey can report: a closed set. `docs/errors.md` is generated from here (a test holds the two
 * together), and the hub serves it to clients: title, cause and fix must say nothing of one installation. `status` is the HTTP status
 * northbound, `coap` the code that a device-side peer sees; both are uniform where more would teach an attacker.
 */
export interface ErrorEntry {
  readonly title: string;
  readonly cause: string;
  readonly fix: string;
  readonly status: number;
  /** As RFC 7252 writes it, such as "4.01". */
  readonly coap: string;
}

function entry(title: string, cause: string, fix: string, status: number, coap: string): ErrorEntry {
  return { title, cause, fix, status, coap };
}

const badRequest = (title: string, cause: string, fix: string) => entry(title, cause, fix, 400, '4.00');
const unauthorized = (title: string, cause: string, fix: string) => entry(title, cause, fix, 401, '4.01');
const forbidden = (title: string, cause: string, fix: string) => entry(title, cause, fix, 403, '4.03');
const unavailable = (title: string, cause: string, fix: string) => entry(title, cause, fix, 503, '5.03');
const local = (title: string, cause: string, fix: string) => entry(title, cause, fix, 500, '5.00');

const ASK_AS = 'Ask the authorization server for a new token.';
const CLIENT_BUG = 'The sender is broken or hostile: report it to its maker.';

export const CATALOGUE = {
  // General
  internal: local('Something inside the hub failed', 'A defect, or a resource of the machine ran out.', 'Look for this id in the log; the entry has the cause.'),
  not_found: entry('No such thing here', 'The path or the id is wrong.', 'Check the address.', 404, '4.04'),
  method_not_allowed: entry('That method is not offered here', 'The path exists but not with this method.', 'Check the API description in docs/protocol.md.', 405, '4.05'),
  request_invalid: badRequest('The request cannot be understood', 'A parameter is missing, doubled or of the wrong form.', 'Compare the request with docs/protocol.md.'),
  request_too_large: entry('The request is too large', 'A body or header goes past its limit.', 'Send less.', 413, '4.13'),
  length_required: entry('The request does not say how long its body is', 'It has a Transfer-Encoding in place of a Content-Length.', 'Send the body with Content-Length.', 411, '4.00'),
  media_type_refused: entry('The content is of another media type', 'The Content-Type or Content-Format is none that this resource takes.', 'Compare the request with docs/protocol.md.', 415, '4.15'),
  media_type_not_offered: entry('No representation is acceptable', 'The Accept header names no media type that this resource answers in.', 'Accept application/json or application/ace+cbor.', 406, '4.06'),
  shutting_down: unavailable('The hub is stopping', 'It was told to stop and finishes what it has begun.', 'Try again in a few seconds.'),
  utf8_invalid: badRequest('Text is not valid UTF-8', CLIENT_BUG, 'Send well-formed UTF-8.'),
  hex_invalid: badRequest('Text is not hexadecimal', 'An odd length or a foreign character.', 'Give an even number of characters 0-9 and a-f.'),
  base64url_invalid: badRequest('Text is not base64url', 'Padding, white space or a foreign character.', 'Use base64url without padding (RFC 7515 section 2).'),
  json_invalid: badRequest('Not acceptable JSON', 'Not JSON, a member twice, nested too deeply, or text that is not well-formed.', 'Send JSON as RFC 7493 describes it.'),
  demo_failed: local('A step of the demo did not hold', 'A defect, or something on this machine is in its way.', 'Run it again; if it fails again, report the step with what stands beside it.'),
  usage: badRequest('The command line cannot be understood', 'An option is missing, unknown or of the wrong form.', 'Run the command with --help.'),
  file_unreadable: local('A file cannot be read', 'It is missing, or its owner does not let the hub read it.', 'Check path and permissions.'),
  file_unwritable: local('A file cannot be written', 'The folder is missing, read-only or belongs to another user.', 'Check path, permissions and free space.'),
  file_exists: local('That file exists already', 'The command writes a new file, and replaces none.', 'Give the name of a new file, or move the old one away.'),
  address_unavailable: local('Nothing can listen there', 'Another program has the port, or the address is not of this machine, or the port is below 1024 and needs root.', 'Stop the other program, or choose another port: `http.listen` of a hub, `--listen` of a simulated device.'),
  admin_unreachable: unavailable('The hub does not answer on its admin socket', 'It is not running, or listens on another socket.', 'Start it with `latchkey run`, or name its socket with --socket.'),
  admin_answer_too_large: unavailable('The hub answered too much on its admin socket', 'The answer goes past its limit. Hub and command are of different versions, or something else listens there.', 'Use the command of the same version as the hub; check the socket.'),
  admin_forbidden: forbidden('The admin socket of the hub may not be used', 'It belongs to another user.', 'Run the command as root or as the user of the hub, `latchkey` where it is installed.'),

  // Configuration
  config_syntax: local('The configuration is not valid TOML', 'A typing error at the place named.', 'Correct that line.'),
  config_unknown_key: local('The configuration has a key that does not exist', 'A typing error, or a key of another version.', 'Use the nearest known key that the message names, or remove it.'),
  config_invalid: local('A setting has a value that is not possible', 'The value is of the wrong type or out of range.', 'See config/latchkey.toml for what it may be.'),
  reload_refused: local('The new configuration cannot be used', 'A reload read a file that a start would end with. The hub goes on with the configuration of before.', 'Correct what is named, then `systemctl reload latchkey`.'),
  restart_needed: local('The hub runs with other settings than its configuration has', 'A reload found changed settings that are only read at a start.', 'Restart the hub: `systemctl restart latchkey`. Or take the changes back, and reload.'),
  store_missing: local('There is no state yet', 'No hub has run on this folder, and no device was registered in it.', 'Start the hub, or register a device: `latchkey devices add --help`. If there is one elsewhere, name its configuration with -c.'),
  store_not_ours: local('The state folder belongs to another user', 'Files that another user writes there would keep the hub out.', 'Run the command as that user, such as `sudo -u latchkey latchkey …`, or start the hub.'),
  store_corrupt: local(
    'The state on disk is damaged',
    'A failing card, or files that were removed or copied in part.',
    'Run `latchkey state repair` as the user of the hub: it copies the files first, and says what it saved. Else restore a backup with `latchkey restore`. Without either, move the state folder away and provision again.',
  ),
  store_lost: local(
    'The state on disk is lost',
    'The database, or the file `db/slots` with the keys that open it, was removed or overwritten. No repair brings it back.',
    'Move `db`, `db.made`, `audit` and `audit.made` of the state folder away. Then restore a backup, `latchkey restore FILE`, or provision the devices again.',
  ),
  store_failing: unavailable('The state cannot be written', 'The card fails, or its file system became read-only.', 'Look at the log of the kernel, and replace the card. The hub opens its state again by itself once the files can be written.'),
  disk_full: unavailable('The disk of the state folder is full', 'Something else fills it, or the audit and the queue have more room than there is.', 'Free space. The hub goes on by itself within seconds.'),
  disk_nearly_full: local('The disk of the state folder is nearly full', 'Something else fills it, or the audit and the queue have more room than there is.', 'Free space before the hub has to refuse tokens.'),
  store_records_lost: local('The state on disk was damaged, and records were lost', 'A failing card: the database found damaged bytes in its log and dropped what was in them.', 'Compare `latchkey devices list` and `latchkey audit verify` with the last backup, and replace the card.'),
  store_not_empty: local('There is a state already', 'The state folder has a database, and a restore never replaces one.', 'Move `db`, `db.made`, `audit` and `audit.made` of the state folder away, then restore.'),
  backup_invalid: local('That file is no whole backup', 'It is not what `latchkey backup` writes, or it was cut short or altered.', 'Use another backup. Nothing was restored from this one.'),
  descriptors_exhausted: unavailable('The hub has no file descriptor left', 'More connections than the limit of the process allows.', 'Raise the limit, such as `LimitNOFILE=` in the unit, or find out who holds so many connections.'),
  store_open_to_others: local('Other users may write in the state folder', 'It is a folder for all, such as /tmp, or its mode cannot be changed. Another user could replace keys and devices there.', 'Set `state_dir` to a folder of its own, with mode 0700.'),
  hub_running: local('The hub is running', 'The command works on the state folder itself, which a running hub has open.', 'Stop it first: `systemctl stop latchkey`.'),
  store_locked: local('The state folder is in use', 'Another hub is running on it.', 'Stop the other one, or give this one its own state folder.'),

  // Audit
  audit_failing: local('The audit cannot be written', 'The card is full, read-only or failing.', 'Free space or replace the card; the log has the cause. Until then verdicts wait in memory, and past a limit only their number is kept.'),
  audit_broken: local('The audit does not hold together', 'Records were removed or altered, or the card lost some.', 'Compare it with the last export and with the `audit_head` lines of the log; keep a copy of the state folder.'),
  audit_lost: local('The audit is gone', 'Its database `audit` was removed or emptied. The state says that there was one.', 'Put `audit` and `audit.made` back from a copy. Else run `latchkey state repair` as the user of the hub: a new audit begins, and its first record says so.'),
  audit_changed: local('The audit dropped records while it was read', 'It is full, and new verdicts took the room of old ones.', 'Export it again, or raise `audit.max_records` and `audit.max_size`.'),
  audit_head_invalid: badRequest('That is no head of an audit', 'A head is a number, a colon and 43 characters of base64url.', 'Copy it whole, as `audit export`, `status` or an `audit_head` line of the log has it.'),
  audit_file_invalid: local('That file is no export of an audit', 'It is not what `latchkey audit export` writes, or it was cut short.', 'Export the audit again.'),

  // CBOR, COSE, CWT
  cbor_invalid: badRequest('Not acceptable CBOR', CLIENT_BUG, 'Send deterministic CBOR (RFC 8949 section 4.2.1) inside the limits of docs/protocol.md.'),
  cbor_too_deep: badRequest('CBOR is nested too deeply', CLIENT_BUG, 'Nest at most 16 levels.'),
  cbor_too_large: entry('CBOR is too large', CLIENT_BUG, 'Send at most 64 KiB.', 413, '4.13'),
  cbor_not_encodable: local('A value has no deterministic CBOR form here', 'A defect in the hub.', 'Report it with the log entry.'),
  cose_invalid: badRequest('Not an acceptable COSE message', 'The structure is not the one of RFC 9052.', CLIENT_BUG),
  cose_critical_unknown: badRequest('A COSE header is critical and unknown', 'The message uses an extension that the hub does not know.', 'Send it without that header.'),
  cose_algorithm_refused: unauthorized('The COSE algorithm is not the one of this key', 'A key serves one algorithm (RFC 9052 section 7).', 'Use the algorithm that the key was made for.'),
  cose_key_invalid: badRequest('Not an acceptable COSE_Key', 'A parameter is missing, of the wrong size, or the point is not on the curve.', CLIENT_BUG),
  cose_key_unknown: unauthorized('No key for this COSE message', 'Its kid names no key that is held.', 'Use a key that was provisioned.'),
  cose_verification_failed: unauthorized('The COSE message does not verify', 'It was altered, or made with another key.', 'Make it anew with the right key.'),
  cwt_invalid: badRequest('Not an acceptable CWT', 'A claim has the wrong type, or the nesting is not one of RFC 8392.', CLIENT_BUG),

  // JOSE
  token_unreadable: badRequest('This is no token', 'Neither a compact JWT nor a CWT, raw or in hexadecimal or base64.', 'Check that it is the whole token and nothing else.'),
  token_missing: unauthorized('A token is needed', 'The request has no `Authorization` header.', 'Send `Authorization: DPoP` with the token and a `DPoP` header, or `Authorization: Bearer` (docs/protocol.md, "North: HTTP").'),
  token_encrypted: unauthorized(
    'The token is encrypted, and not for the hub',
    'It is a JWE whose `kid` names no key of the hub, or it has no `kid` and several issuers are configured.',
    'Have the AS encrypt it to the key at /jwks?issuer=<issuer of the token> and name that key by its `kid`. Or turn off the encryption of access tokens for this API at the AS.',
  ),
  token_opaque: unauthorized('The token is no JWT', 'It is opaque, or only a part of a JWT. An offline device gets what a JWT says, so the AS is not asked about tokens for it.', 'Have the AS issue JWT access tokens for this audience (docs/servers.md). The hub accepts opaque tokens for connected devices.'),
  jwt_malformed: unauthorized('Not an acceptable JWT', 'Not three base64url parts, not JSON, or a member twice.', ASK_AS),
  jwt_too_large: unauthorized('The JWT is too large', 'It goes past 16 KiB.', 'Ask for fewer claims.'),
  jwt_type_refused: unauthorized(
    'Not an access token',
    'The header `typ` is none that the issuer may use, `at+jwt` (RFC 9068) unless set otherwise, or the token has marks of an ID token.',
    'Send the access token, not the ID token. For an AS that writes another `typ`, or none, set `dialect` of the issuer, or `token_types` (docs/servers.md).',
  ),
  jwt_algorithm_refused: unauthorized(
    'The JWT algorithm is not allowed',
    'It is not among the `algorithms` of the issuer, or not the one of the key. No issuer may use `none` or an HMAC such as HS256.',
    'Add it to `algorithms` of the issuer if it is one of those that the setting takes. If not, have the AS sign with another one, such as ES256 or RS256.',
  ),
  jwt_critical_unknown: unauthorized('The JWT has a critical header that is not known', '`crit` names an extension (RFC 7515 section 4.1.11).', ASK_AS),
  jwt_header_refused: unauthorized('The JWT header has a member that is not allowed', 'It would let the token choose its own key, or change how the payload is read.', 'Have the AS leave it out. For `x5c`, `zip` and `enc` of an AS that means nothing by them set `ignored_headers` of the issuer.'),
  jwt_signature_invalid: unauthorized('The JWT signature does not verify', 'It was altered, or signed by another key than its kid says.', ASK_AS),
  jwt_claim_required: unauthorized(
    'The JWT lacks a claim that access tokens of this issuer have',
    '`required_claims` of the issuer, or its dialect, demands it. An ID token, a refresh token or a token of another server lacks it.',
    'Send the access token, not the ID token. If the AS was set up to leave the claim out, let it write it, or set `required_claims` of the issuer (docs/servers.md).',
  ),
  jwt_claim_missing: unauthorized('The JWT lacks a claim', 'RFC 9068 asks for iss, exp, aud, sub, client_id, iat and jti; the hub needs the first three.', 'Have the AS write it. For an audience or a client under another name set `dialect` of the issuer, or `audience_claims` and `client_claims`.'),
  jwt_claim_invalid: unauthorized('A JWT claim has the wrong type', 'For example a date that is not a number.', 'Have the AS correct it.'),
  jwks_issuer_unknown: entry('The hub has no key for this issuer', 'Several issuers are configured and the address names none, or it names another one.', 'Ask for /jwks?issuer= with the `iss` of the tokens, percent-encoded.', 404, '4.04'),
  jwt_issuer_unknown: unauthorized(
    'The issuer is not trusted here',
    '`iss` names no configured issuer, or none that this device takes. Issuers are compared letter by letter, a slash at the end and a port included.',
    'Add it under [[issuers]], or use a token of a configured one. `latchkey issuers check URL` prints the section for it.',
  ),
  jwt_audience_mismatch: forbidden('The token is for another audience', '`aud` does not name this device.', 'Ask the AS for a token with the audience of this device. For an AS that names it in another claim set `dialect` of the issuer, or `audience_claims` (docs/servers.md).'),
  jwt_expired: unauthorized('The token is expired', 'Its `exp` is past.', ASK_AS),
  jwt_not_yet_valid: unauthorized('The token is not valid yet', 'Its `nbf` is ahead, or clocks differ.', 'Wait, or correct the clocks.'),
  jwt_issued_in_future: unauthorized('The token was issued in the future', 'Its `iat` is ahead: clocks differ.', 'Correct the clocks of hub and AS.'),
  jwk_invalid: badRequest('Not an acceptable JWK', 'A member is missing, of the wrong form, or the key is too weak.', 'Compare it with RFC 7517 and RFC 7518 section 6.'),
  jwe_invalid: unauthorized(
    'Not an acceptable JWE',
    'Not five base64url parts, or its header has an algorithm or a member that is not allowed, such as `zip` or `crit`.',
    'Encrypt with ECDH-ES, ECDH-ES+A128KW, ECDH-ES+A256KW or RSA-OAEP-256, as the key is, and A128GCM, A256GCM or A128CBC-HS256 (docs/protocol.md, "North: HTTP").',
  ),
  jwe_decryption_failed: unauthorized('The JWE cannot be decrypted', 'It was altered, or encrypted to another key.', 'Encrypt to the key that the hub publishes now at /jwks?issuer=<issuer of the token>, and name it by its `kid`.'),
  jwe_foreign: unauthorized('The JWE does not belong to this token', 'It is encrypted to the key of the hub for another issuer, or its `iss`, `sub` or `aud` are not those of the token.', 'Encrypt anew for this token, to the key at /jwks?issuer=<issuer of the token>.'),

  // Trust
  key_unknown: unauthorized('No key of the issuer has this kid', 'The AS withdrew it, or published it after its last answer, and the hub may not ask again so soon.', 'Try again in a minute; then ask the AS for a new token.'),
  keys_unavailable: unavailable('No keys of the issuer are held', 'The AS was never reached since the issuer was configured.', 'Check the uplink and the issuer address: `latchkey status`.'),
  keys_too_old: unavailable('The keys of the issuer are too old', 'The AS was not reached for longer than `offline_limit`.', 'Bring the uplink back, or raise `offline_limit` and accept that a withdrawn key lives longer.'),
  clock_unsure: unavailable('The time is not known well enough', 'The clock was not set since boot and this token might be expired.', 'Give the machine NTP or a battery clock, or set clock.when_unsure = "allow" and accept expired tokens after a boot.'),
  clock_behind_floor: unavailable('The clock of the machine is behind a time that is surely past', 'The clock was set back or lost its power, or it was ahead when the hub last ran.', 'Set the clock, best by NTP. If it is right, and was ahead before, run `latchkey clock reset`.'),
  clock_before_release: unavailable('The clock of the machine reads a time of before this version was built', 'The clock was never set, or lost its power.', 'Set the clock, best by NTP. A reset of the time floor does not help.'),
  clock_ahead: unavailable('The clock of the machine is far ahead', 'A battery clock is wrong, the clock was set wrongly by hand, or NTP is forged. Good tokens look expired.', 'Set the clock, best by NTP. The hub takes tokens again as soon as it is right.'),
  as_clock_differs: unavailable('The clocks of the hub and of an authorization server differ', 'One of the two is wrong by more than ten minutes.', 'Compare both with a third clock. `timedatectl` or `chronyc tracking` says whether the clock of the hub is set by NTP.'),
  metadata_invalid: unavailable('The metadata of the issuer is not acceptable', 'Not JSON, another issuer, or a jwks_uri that is not https or in a private network.', '`latchkey issuers check URL` says what it names. Compare with RFC 8414 section 3; jwks_url in the configuration overrules it.'),
  jwks_invalid: unavailable('The key set of the issuer is not acceptable', 'Not JSON, no keys, or none that can be used.', 'Compare the file or what is at the jwks_uri with RFC 7517; keys held already stay.'),
  as_unreachable: unavailable('The authorization server cannot be reached', 'Name, route or port is wrong, or it is down.', 'Check the uplink; `latchkey status` names the address.'),
  as_timeout: unavailable('The authorization server did not answer in time', 'It is overloaded or the uplink is slow.', 'Check the uplink and the server.'),
  as_tls_untrusted: unavailable('The certificate of the authorization server is not trusted', 'Another CA signed it, it is expired, or an attacker sits in between.', 'Give its CA as `ca_file` of the issuer, or with `--ca` to `latchkey issuers check`.'),
  as_redirected: unavailable('The authorization server answered with a redirect', 'The address is not the final one; the hub follows none.', 'Configure the final address.'),
  as_answer_too_large: unavailable('The authorization server answered too much', 'The answer goes past its limit.', 'Check that the address is the right one.'),
  as_busy: unavailable('The authorization server asks for a pause', 'It answered 429, or 503 with Retry-After: the hub, or other clients of it, ask too much.', 'Try again later. Raise its rate limit for the hub, or find the device that asks so much in the log.'),
  as_answer_refused: unavailable('The authorization server answered with an error', 'Its status was not 200.', 'Look into the log of the server.'),

  // Introspection
  token_inactive: unauthorized('The authorization server does not stand by the token', 'It was revoked, is expired, or never was one of its tokens (RFC 7662 section 2.2).', ASK_AS),
  introspection_unavailable: unavailable('The token cannot be introspected', 'No issuer that may be asked has both an introspection endpoint and a client id for the hub.', 'Set `client_id` of the issuer; where its metadata names no endpoint, `introspection_url` too.'),
  introspection_client_refused: unavailable('The authorization server does not accept the hub as a client', 'Client id, secret, key or certificate are not those of its registration, or the clocks differ.', 'Compare `client_id` and `client_auth` with the registration at the server; see its log.'),
  introspection_refused: unavailable('The authorization server refuses the introspection request', 'The hub may not introspect there, the address is wrong, or the server does not introspect tokens of this kind, such as JWTs.', 'Compare `introspection` and `introspection_url` with what the server offers; see its log.'),
  introspection_answer_invalid: unavailable('The introspection answer cannot be used', 'Not JSON as RFC 7662 section 2.2 has it, or a member of the wrong type.', 'Check `introspection_url`; look into the log of the server.'),
  introspection_answer_untrusted: unavailable(
    'The introspection answer is not to be trusted',
    'Its signature does not verify, it is unsigned, too old, of another issuer or for another client (RFC 9701 section 5).',
    'Check the clocks and the keys of the server; for a server that does not sign set introspection_signed = "optional".',
  ),
  introspection_suspended: unavailable(
    'The authorization server is not asked for a while',
    'It failed for several tokens in a row, of this device or of several devices. It is asked again after the pause that the log names.',
    'Check the uplink and the server: `latchkey status`. Where other devices get answers, check what clients show to this one.',
  ),
  introspection_overloaded: unavailable('Too many tokens wait for the authorization server', 'It answers more slowly than devices ask.', 'Try again in a few seconds.'),

  // Translation
  audience_ambiguous: forbidden('The token names several devices', 'It has more than one audience and is bound to no key (`cnf`), so a copy would serve elsewhere too.', 'Ask for a token with one audience, or have the AS bind it to a key (DPoP).'),
  device_unnamed: forbidden(
    'The token names no device that is registered',
    'It has the shared audience of its issuer, and neither its scopes, nor its claim, nor its `authorization_details` name a device of this hub, as `device_by` has it.',
    'Ask for a token that names the device by its id, and compare `device_by` of the issuer with what the AS writes.',
  ),
  device_ambiguous: forbidden('The token names more than one device', 'It has the shared audience of its issuer and names several devices, or it is a bearer token and names something else too.', 'Ask for a token for one device.'),
  scope_empty: forbidden(
    'No scope is left for this device',
    'The device knows none of the scopes of the token, or the token has none.',
    'Ask for a scope that `latchkey devices show` lists. For an AS that writes scopes into another claim, such as `roles`, set `dialect` of the issuer, or `scope_claims` (docs/servers.md).',
  ),
  confirmation_missing: forbidden(
    'The token is not bound to a key',
    'It has no `cnf`: an attacker who steals it can use it.',
    'Have the AS bind it (DPoP). For an AS that cannot, set `bind = "first-presenter"` of the issuer and accept its price (docs/security.md). A connected device may be registered with `--bearer`.',
  ),
  confirmation_unsupported: forbidden('The token is bound in a way that devices cannot check', 'For example `x5t#S256`, which needs TLS.', 'Bind it with DPoP, a jwk or a jwe.'),
  confirmation_invalid: unauthorized('The confirmation of the token cannot be used', 'Its `cnf` has no member, members that do not go together, or a key that is not acceptable.', ASK_AS),
  cnonce_missing: unauthorized('The token lacks the nonce of the device', 'The device has no clock, and by a `cnonce` that it gave it knows that the token is new (RFC 9200 section 5.3.1).', 'Take the `cnonce` of `creation_hints`, and ask the authorization server for a token with it.'),
  token_too_large_for_device: entry('The token is too large for the device', 'Its claims need more bytes than the device takes.', 'Ask for fewer claims or use the slim profile; the log names the claims that cost most.', 413, '4.13'),
  claim_not_translatable: forbidden('A claim has no form on the device', 'Its value goes past what a CWT can carry.', 'Have the AS write it in the usual form.'),
  profile_invalid: badRequest('The device profile is not possible', 'A member is missing or unknown, or does not fit the others.', 'Compare the file with docs/protocol.md, "Profile of token translate". A trust file is another file.'),
  lifetime_empty: unauthorized('Nothing is left of the token after rounding', 'exp and iat or nbf are in the same second.', ASK_AS),

  // Tokens bound to their first presenter
  token_bound_elsewhere: unauthorized(
    'The token is bound to another key',
    'A client presented it first with another key, and the hub bound it to that key until it is dead (`bind = "first-presenter"`). The client changed its key, or the token was stolen.',
    'Ask the authorization server for a new token, and present it with one key. Where no client changed its key, find out who presented it first: `latchkey audit list`.',
  ),
  token_binding_unknown: unauthorized(
    'The token may be bound to another key',
    'It was issued before the hub started, or so soon after that the clock of its issuer may hide it. It is not bound here, and the hub cannot know whether it was (`bind = "first-presenter"`).',
    'Ask the authorization server for a new token. Where the answer has `Retry-After`, wait so many seconds first.',
  ),
  token_bindings_full: unavailable(
    'Too many tokens are bound to their first presenter',
    'One subject at one client may have 1,024 such tokens that are alive, one issuer 8,192, and all of them 16,384. Of tokens without `sub` one key may have 256.',
    'Use a token until it expires, or have the authorization server write tokens that live less long.',
  ),
  device_bearer_ended: local(
    'An offline device takes no bearer tokens any more',
    'It was registered with `--bearer` by an earlier version. Its tokens without `cnf` are refused with `confirmation_missing`.',
    'Have the AS bind the tokens (DPoP), or set `bind = "first-presenter"` of the issuer. To end this message, register the device again.',
  ),

  // Proof of possession
  proof_missing: unauthorized('A proof of possession is missing', 'The token is bound to a key (`cnf`), or is to be bound to that of its presenter (`bind`), and came without a proof.', 'Send `Authorization: DPoP` and a `DPoP` header (RFC 9449); a connected device hands on the proof of its client.'),
  proof_malformed: unauthorized('The proof of possession is malformed', 'Not one DPoP JWT with jwk, jti, htm, htu and iat, or not a COSE_Sign1 or COSE_Mac0 with an empty payload.', 'Make it as RFC 9449 section 4.2, or docs/protocol.md, "Relayed proofs", says.'),
  proof_algorithm_refused: unauthorized('The algorithm of the proof is not allowed', 'It is neither ES256 nor EdDSA, nor HMAC 256/256 for a shared key, or not the one of the key.', 'Use ES256.'),
  proof_signature_invalid: unauthorized('The proof does not verify', 'It was altered, signed with another key, or (COSE) made for another nonce, token or audience.', 'Sign it with the key that it shows, for this very request.'),
  proof_key_mismatch: unauthorized('The proof is by another key', 'Its key is not the one that the token is bound to, or it proves a key in another way than the token asks for.', 'Use the key that the token was asked for with.'),
  proof_method_mismatch: unauthorized('The DPoP proof is for another method', '`htm` differs from the request.', 'Make a proof for each request.'),
  proof_uri_mismatch: unauthorized('The DPoP proof is for another address', '`htu` differs from the request as the hub knows its own address.', 'Use the address that `http.public_url` says.'),
  proof_token_mismatch: unauthorized('The DPoP proof is for another token', '`ath` is not the hash of this token.', 'Make a proof for each token.'),
  proof_stale: unauthorized('The proof is too old or from the future', '`iat` is outside the window, or of a time before a power cut of which the hub may have lost its memory.', 'Make it anew, with the nonce that was given.'),
  proof_replayed: unauthorized('The proof was used before', 'Its `jti`, or its nonce, was seen with this key.', 'Make a proof for each request.'),
  proof_nonce_required: unauthorized('The proof needs the nonce that was given', 'It has none, an old one, or another one.', 'Take the one of the DPoP-Nonce header, or of the device, and try again (RFC 9449 section 9).'),
  proof_window_full: unavailable('Too many proofs at once', 'One key, one token without a key, one device or all of them showed more proofs than the hub remembers. Each is remembered for some minutes.', 'Try again after the seconds in Retry-After, and show proofs less often.'),

  // Session keys
  session_key_unsupported: badRequest('No session key is possible with this client', 'Its key is one of Ed25519, of a certificate, or there is none: nothing can be encrypted to it.', 'Use a P-256 key, or a key that the authorization server shares with the client.'),
  session_key_invalid: badRequest('Not an acceptable session key', 'It was altered, or is for another device, token or client.', 'Ask the hub for a new one.'),
  session_key_expired: unauthorized('The session key is expired', 'Its `exp` is past.', 'Present the token and a proof anew, and ask for a new key.'),
  session_message_replayed: unauthorized('A message of a session came twice or out of order', 'Its number is not above the last one.', 'Send each message once; after a loss go on with the next number.'),

  // Lines and links
  coap_message_invalid: badRequest('Not an acceptable CoAP message', CLIENT_BUG, 'Compare it with RFC 7252 section 3.'),
  coap_option_refused: entry('A CoAP option of the device is critical and unknown', 'The answer of the device uses an extension that the hub does not know.', 'Have the device answer without it: update its firmware.', 502, '4.02'),
  coap_block_invalid: entry('Blocks of the device do not fit together', 'A block is missing, out of order, of another body or of the reserved size (SZX 7), or the answer does not end.', 'Update the firmware of the device.', 502, '4.00'),
  link_down: unavailable('The link to the device is not open', 'The cable is out, the network serial server is away, or the device is not in range.', 'Check the cable, or bring the device closer; the hub opens the link again by itself.'),
  device_answer_lost: entry('The answer of the device was lost', 'The link was lost after the request was sent. The device may have done what was asked.', 'Find out whether it was done before you ask again. A token that waits is delivered again by itself, and twice does no harm.', 504, '5.04'),
  line_noisy: unavailable('The line brings noise', 'The speed is wrong, the cable is bad, or what is plugged in sends something else than slipmux.', 'Check `baud_rate` and the cable, and what is plugged in; `latchkey status` counts the kinds of noise. The condition clears within a minute.'),
  line_slowed: unavailable('The line brings in more than it may', 'What is plugged in, or a network serial server, sends more than 160 KiB/s, so the hub makes it wait.', 'Find out what sends so much; other lines are not slowed. The condition clears within a minute.'),
  hub_busy: unavailable('The hub has too much to do', 'One connection carries too many requests at once, one device asks too many questions, or too many encrypted tokens come at once.', 'Wait for an answer before asking again.'),
  link_busy: unavailable('The link to the device is busy', 'Too many requests wait for it.', 'Try again in a few seconds.'),
  request_cancelled: unavailable('The request was given up', 'The client went away before the device answered, or a question of the command line got no answer.', 'Ask again if the answer is still wanted.'),
  link_unconfigured: unavailable('The link of the device is not configured', 'The device names a line that the configuration does not have, or is found by radio and there is none.', 'Add it under [[lines]] or [ble], or register the device on another one.'),
  radio_missing: unavailable('There is no such Bluetooth adapter', 'It is unplugged, or the kernel has no driver for it.', 'Plug it in, or name another one as `ble.adapter`; the hub finds it by itself.'),
  radio_blocked: unavailable('The Bluetooth adapter is switched off', 'A key or a program has blocked it.', 'Run `rfkill unblock bluetooth`; the hub finds it by itself.'),
  radio_down: unavailable('The Bluetooth adapter is down', 'It is not powered on.', 'Run `bluetoothctl power on`, or `hciconfig hci0 up`; the hub finds it by itself.'),
  radio_permission: unavailable('The Bluetooth adapter may not be used', 'The user of the hub has no right to it.', 'Give the unit CAP_NET_RAW as docs/operations.md shows; for a serial port add the user to the group `dialout`.'),
  radio_unsupported: unavailable('Bluetooth cannot be used on this machine', 'The kernel or the adapter has no Bluetooth Low Energy, or the package for it was not built for this processor.', 'Use an adapter of Bluetooth 4.0 or later and a kernel with Bluetooth.'),
  radio_failed: unavailable('The Bluetooth adapter does not answer', 'It hangs, or another program uses it.', 'Stop other programs that use it; unplug it and plug it in again.'),
  radio_process_failed: unavailable('The process of the radio failed', 'It ended, or did not answer and was ended: a packet by radio led it there, memory was short, or it has a defect.', 'The hub starts it again by itself. Look in the log for `radio_output`; if it comes again, report these lines.'),
  device_impostor: unavailable(
    'Something else advertises the name of the device',
    'What answers does not hold the key of the device: an impostor, another device of the same name, or one that was reset.',
    'Look what is there with `latchkey status`; give each device a name of its own; pair a device anew that was reset.',
  ),
  line_permission: unavailable('The line may not be opened', 'The user of the hub has no right to the port.', 'Add the user to the group `dialout`.'),
  device_no_answer: entry('The device does not answer', 'It is asleep, away or on another speed, or its answer was lost.', 'A delivery goes on by itself. A request may have been done: find out before you ask again.', 504, '5.04'),
  device_reset: entry('The device did not understand the message', 'It answered with a CoAP reset.', 'Check that it runs a firmware for Latchkey.', 502, '5.02'),
  device_answer_invalid: entry('The device answered something that cannot be used', 'Broken CoAP, or a payload that is not as agreed.', 'Check its firmware.', 502, '5.02'),
  device_answer_untrusted: entry('The answer is not from the device', 'Its MAC does not verify: another device is on the line, or an attacker altered it.', 'Check what is plugged in; provision it again if its key was lost.', 502, '5.02'),
  device_refused_token: entry('The device refused the token', 'The device decided by its own trust; `device_code` says how.', 'Compare the trust of the device with the registry; provision it again.', 502, '5.02'),
  device_refused_request: forbidden('The device refused the request', 'No token there allows it, or the proof was not accepted.', 'Ask for a challenge anew; check the scope of the token.'),

  // MQTT
  broker_unreachable: unavailable('The MQTT broker cannot be reached', 'It is down, or address, port or route are wrong.', 'Start it, or correct `mqtt.url`; the hub connects by itself, and serves its other fronts meanwhile.'),
  broker_refused: unavailable('The MQTT broker does not let the hub in', 'User, password, client id or ACL are not as it wants them, or it does not speak MQTT 5.0.', 'Compare [mqtt] with the password file and the ACL of the broker: docs/operations.md.'),
  broker_tls_untrusted: unavailable('The certificate of the MQTT broker is not trusted', 'Another CA signed it, it is expired, or it is for another name.', 'Give its CA as `mqtt.ca_file`, and its name in `mqtt.url`.'),
  broker_packet_invalid: unavailable('The MQTT broker sends what MQTT 5.0 does not allow', 'It has a defect, or hands on unchecked what a client wrote, or another server answers there.', 'Update the broker, or correct `mqtt.url`; the hub connects again by itself.'),
  embedded_broker_down: unavailable(
    'The embedded MQTT broker is not running',
    'Its process ended, hung, took too much memory or could not listen; the log of the hub says which.',
    'Nothing while the hub runs: it starts the broker again by itself. Where it comes back, or the hub does not start, report it with the lines `child_down` and `failed` of the log.',
  ),
  peripheral_package_missing: local('The package for a simulated Bluetooth device is not installed', 'It is an optional package that npm could not install, or was told to leave out.', 'Run `npm install @stoprocent/bleno`, or simulate the device behind a line with `--listen`.'),
  peripheral_adapter_down: local('The Bluetooth adapter of the simulated device does not answer', 'There is no such adapter, it is blocked, another program has it, or only root may use it.', 'Give the path of its port with `--hci`; for the adapter of the system run `rfkill unblock bluetooth`, and start as root.'),
  embedded_broker_missing: local('The embedded MQTT broker is not installed', 'It is an optional package that npm could not install, or was told to leave out.', 'Run `npm install aedes`, or use another broker by `mqtt.url`.'),
  mqtt_packet_refused: entry(
    'The MQTT client sends what the embedded broker does not take',
    'A packet is malformed or too large, a property is doubled, a filter has a reserved name, or the MQTT is older than 5.0 or has QoS 2.',
    'Correct or configure the MQTT client of the device: MQTT 5.0, QoS 0 or 1, and a last will of at most 1 KiB.',
    400,
    '4.00',
  ),
  topic_refused: forbidden('The device may not use that topic', 'It publishes or listens beside its own topics, has a message retained, or listens to more than 16 filters.', 'Publish on <prefix>/<device>/introspect and listen below <prefix>/<device>/; compare its prefix with `mqtt.topic_prefix`.'),
  response_topic_refused: forbidden('The answer may not go to that topic', 'The response topic is missing, or is not a topic of the device that asks.', 'Use a response topic below the own topic of the device, such as latchkey/v1/<device>/answer.'),

  // Devices and delivery
  device_unknown: entry('No such device', 'It is not registered here.', 'See `latchkey devices list`.', 404, '4.04'),
  device_exists: entry('The device exists already', 'Its id is taken.', 'Choose another id, or unpair or remove the device first.', 409, '4.09'),
  audience_taken: entry('The audience is that of another device', 'Both would take a token that is meant for one of them.', 'Give each device an audience of its own, or remove the other one first.', 409, '4.09'),
  device_invalid: badRequest('The device cannot be registered like this', 'A setting is missing or does not fit the others.', 'See `latchkey devices add --help`, or `latchkey pair --help`.'),
  profile_unknown: badRequest('The configuration has no profile of that name', 'A typing error, or the label of the device names a profile that this hub was not given.', 'See `latchkey devices profiles`. Add it under [[profiles]] and reload the hub, or name another one with --profile.'),
  device_unauthenticated: unauthorized('The device did not show who it is', 'Its secret, certificate or MAC is missing, wrong, or of a device that is not registered there.', 'Give the device what `latchkey devices credentials` writes.'),
  device_takes_no_tokens: forbidden('The device takes no tokens from the hub', 'It is a connected device, on no line: it asks the hub about the tokens that clients show to it.', 'Show the token to the device itself.'),
  hub_nonce_required: unauthorized('The question does not carry a fresh nonce of the hub', 'It has none, one of more than two minutes ago, or one from before the hub was restarted.', 'Take the nonce of this refusal, or of the last answer, and ask again.'),
  question_replayed: badRequest('The question was asked before, and its answer is forgotten', 'The device asks again too late, or an attacker sends a recording of it.', 'Ask anew, with a fresh nonce and a fresh proof.'),
  device_nonce_reused: badRequest('The device used a nonce for two different requests', 'It has no good source of randomness, or messages are mixed up on the way.', 'Draw 12 fresh random bytes for every request.'),
  credentials_file_invalid: local('The credentials file cannot be used', 'It is not what `latchkey devices credentials` writes.', 'Write it anew with `latchkey devices credentials`.'),
  certificate_invalid: badRequest('Not an acceptable certificate', 'It is neither one PEM certificate nor its DER in base64.', 'Give the end certificate alone, as PEM or DER.'),
  delivery_unknown: entry('No such delivery', 'The id is wrong, the device was removed, or the record was removed some time after the delivery ended.', 'Deliver again.', 404, '4.04'),
  delivery_expired: entry('The token expired before the device took it', 'The device was away for too long.', ASK_AS, 410, '5.04'),
  delivery_cancelled: entry('An operator cancelled the delivery', 'The token waited for its device, and was taken out of the queue with `latchkey deliveries cancel`.', 'Ask the operator of the hub why. Then deliver a token again.', 410, '5.04'),
  delivery_ended: entry('The delivery has ended', 'Its token was delivered, refused, expired or cancelled before. The hub has forgotten it.', 'Look at `latchkey deliveries list`. To bring the token to the device again, its client has to deliver it again.', 409, '4.09'),
  device_full: unavailable(
    'The device is full',
    'It holds as many tokens as it has room for. Each client key takes a place of its own until its token expires.',
    'Wait: the hub tries again, at the latest when a token of the device expires. Have clients keep their DPoP key, use tokens that live less long, or give the device more room.',
  ),
  delivery_queue_full: unavailable('Too many tokens wait for devices', 'The queue of this device, or all of them, are full.', 'Bring the device back, or wait until waiting tokens expire.'),
  delivery_room_full: unavailable('There is no room for another delivered token', 'Tokens that are delivered and alive are not forgotten. They fill `delivery.max_overall`, or the half of it that one device may take.', 'Wait until tokens expire, use tokens that live less long, or raise `delivery.max_overall`.'),
  proxy_token_unknown: forbidden('The request names no token of this device', 'Only clients whose token was delivered may talk to a device.', 'Deliver the token first; use its token_hash.'),
  proxy_path_refused: forbidden('That resource is not reachable from outside', 'Tokens and provisioning go their own ways.', 'Deliver tokens to /devices/{id}/authz-info.'),
  hub_no_answer: unavailable('The device got no verdict from its hub', 'Hub or broker are away, or the authorization server is slow.', 'Try again; until then the device refuses all clients.'),
  verdict_stale: unavailable('The device takes no stale verdicts', 'The authorization server cannot be reached, and what the hub knows of the token is from before.', 'Bring the authorization server back.'),
  scope_insufficient: forbidden('The scope of the token is not enough', 'It does not name what the device asks for.', 'Ask the authorization server for a token with that scope.'),
  setup_code_invalid: badRequest('That is no setup code', 'A character is missing or wrong: the check symbol at its end does not fit the others.', 'Compare it with the label, or scan the QR code; it is 27 letters and digits, or begins with latchkey:1?.'),
  setup_code_refused: forbidden('Device and setup code do not belong together', 'The code is that of another device, or something else answers in its place.', 'Compare the code with the label of this very device: `identify` makes it blink.'),
  setup_code_dead: forbidden('The device takes no setup code any more', 'It was paired already, with this hub or another one.', 'Unpair it there if you can, then reset it by hand: hold its reset button. That makes its code good again.'),
  device_not_pairable: entry('The device cannot be paired', 'It does not know /provision: its firmware has its trust built in, or nothing of ours is there.', 'Register it with `latchkey devices add`, which writes a trust file.', 502, '5.02'),
  device_refused_profile: entry('The device does not take what it is to trust', 'It cannot do what its profile says, or has too little room.', 'Choose another --wrap or --scope-form, or fewer scopes and permissions; see the manual of the device.', 502, '5.02'),
  pairing_window_open: entry('A pairing window is open already', 'The hub has one pairing window at a time, and one is open.', 'Wait until it closes, or close it: end the other `latchkey pair`.', 409, '4.09'),
  pairing_window_closed: entry('No pairing window is open', 'Its time is over, or it was never opened.', 'Open one: `latchkey pair --for 2m`.', 409, '4.09'),
  pairing_busy: entry('Another device is being paired', 'One is paired at a time.', 'Try again in a few seconds.', 409, '4.09'),
  pairing_attempts_spent: forbidden('Too many wrong setup codes', 'Five were refused, so the pairing window was closed.', 'Compare code and device, then open another one: `latchkey pair`. The audit has each attempt.'),
  pairing_candidate_unknown: entry('No such device is there', 'It sleeps, is out of reach, or is paired already.', 'Wake it, bring it closer, and see whether `latchkey pair` shows it.', 404, '4.04'),
  pairing_place_taken: entry(
    'A device is registered there already',
    'The hub has a device on this line, or by this advertised name, and does not look for another one there.',
    'Choose another line or device. Where it is this device, let it go first: `latchkey devices unpair ID`, with `--force` where it was reset by hand.',
    409,
    '4.09',
  ),
  pairing_candidate_unclear: badRequest('Several devices could be meant', 'None of them has the name that the setup code says.', 'Say which: --line or --ble with its name.'),
  pairing_unfinished: unavailable(
    'The device did not say that it is paired',
    'The link was lost in the last step, or the device answered that step with a refusal such as 4.01. The hub asks again whenever it can reach the device.',
    'Bring the device into reach. If it was reset by hand meanwhile, or refuses, pair it again.',
  ),
  provisioning_invalid: badRequest('A provisioning message cannot be understood', 'The sender is broken, of another version or hostile.', 'Compare it with docs/protocol.md, "Provisioning".'),
  device_state_invalid: local('The state of the simulated device cannot be used', 'It is not what `latchkey sim device --setup` writes, or it was cut short.', 'Reset the device with --reset, and pair it again.'),
  device_trust_invalid: badRequest('What a device is to trust is not acceptable', 'A member is missing, unknown, of the wrong form or past its limit, or two of them do not fit each other.', 'Compare it with docs/protocol.md, "Provisioning"; give the device fewer scopes, permissions or issuers.'),
  device_refused_trust: entry(
    'The device refused what it is to trust',
    'It takes no trust bundles, or none under the keys that the hub has, or its answers to them cannot be used; `device_code` says how.',
    'Look at `latchkey trust status`; if it trusts another hub, or was reset, provision it again. Update its firmware where it answers 5.xx.',
    502,
    '5.02',
  ),
  trust_outrun: entry(
    'The device holds a later version of its trust',
    'The hub was restored from a backup, its state folder was copied to another hub that runs, or the firmware of the device is faulty.',
    'Nothing, after a restore: the next bundle goes above it. Where it goes on, stop the other hub or update the device.',
    502,
    '5.02',
  ),
  trust_versions_spent: entry('No version of its trust is left for the device', 'It says that it holds the highest version there is, or was given it. No trust bundle can be above that.', 'Provision the device again.', 502, '5.02'),
  trust_waiting: unavailable('A device has been waiting for its trust bundle for long', 'The hub has not reached it since the keys changed. It uses the old ones.', 'Bring it back into reach, or remove it if it is gone for good: `latchkey trust status`.'),
  trust_key_lost: local('The hub has no key that the device trusts', 'Its keys were lost, or restored from a backup of before a rotation.', 'Provision the device again.'),
  trust_by_hand: local('A device has to be given its trust by hand', 'It confirms nothing (`--no-receipt`), so the hub cannot know that a bundle arrived.', 'Register it again, and hand it the new trust file.'),
  trust_issuers_too_many: local('A device has no room for all of its issuers', 'It is to take tokens of more than 8 issuers. It refuses those of the issuers that are named.', 'Register it again with `--issuer` for those whose tokens it needs, 8 at most. Or remove issuers from the configuration.'),
  hub_keys_in_use: entry('The hub has too many keys that devices still trust', 'It was rotated again and again while devices were away.', 'Bring the devices back that `latchkey trust status` shows as waiting, or remove those that are gone for good.', 409, '4.09'),
  trust_file_invalid: local('The trust file cannot be used', 'It is not what `latchkey devices add` writes.', 'Write it anew by registering the device again.'),

  // Client
  client_token_refused: unauthorized('The authorization server gave no token', 'It does not accept the client, its secret, the scope or the audience, or the grant is over: the message has its own error and status.', 'Compare the request with the registration of the client there, and look into the log of the server.'),
  client_server_failed: unavailable('The authorization server cannot answer now', 'It answered with a status of 500 or above, or with 429: it is overloaded, or a part of it is down.', 'Try again later, not before the time in `retryAfter` where the error has one.'),
  client_cancelled: entry('The caller cancelled it', 'The `signal` that was handed in was aborted.', 'Begin again if that was not intended.', 400, '4.00'),
  client_argument_invalid: badRequest('The client library was called with an argument that it cannot use', 'An argument is missing or of the wrong kind: the message names it.', 'Correct the call. A secret is handed in as `new Secret(text)`, a token as `dpopToken(text, key)` or `bearerToken(text)`.'),
  client_address_insecure: badRequest('The address would send tokens unencrypted', 'It begins with http: and is not on this machine.', 'Use an https address; http is for loopback only. A server with a certificate of a private authority needs the option `ca`.'),
  client_delivery_failed: entry('The hub did not deliver', 'Hub or device refused the token, or it expired while it waited: the message has the code.', 'See that code in docs/errors.md; `isCoded(error, code)` is true for it.', 502, '5.02'),
  client_unreachable: unavailable('The other side cannot be reached', 'Hub, authorization server or device is down, its address is wrong, or its certificate is not trusted here.', 'Check the address and try again. For a certificate of a private authority hand that one in as `ca`.'),
  client_answer_invalid: entry('An answer cannot be used', 'Hub or authorization server answered something that is not as agreed.', 'Check that the address is the right one, and both versions.', 502, '5.02'),
  client_audience_unknown: badRequest('It is not known which device requests are to be signed for', 'The caller named no audience, and the token is no JWT with one `aud`.', 'Give the audience of the device: `hub.session(delivery, token, { audience })`.'),
  client_delivery_foreign: entry(
    'The delivery is not the one of this token',
    'The hub names another audience or token than the client, or the token is for another audience than the caller named.',
    'Check delivery and token. If they are right, do not trust this hub: a request signed for it could serve at another device.',
    502,
    '5.02',
  ),
  client_delivery_queued: entry('The device does not have the token yet', 'The delivery waits at the hub until the device is back.', 'Wait for it with `hub.settle(delivery)`; then open the session.', 409, '4.09'),
  client_key_missing: badRequest('The token came without its key', 'A DPoP token or a request to a device needs the key that the token is bound to.', 'Give the key that the token was asked for with.'),
  client_request_failed: entry('The request to the device failed', 'Hub or device answered with the problem named.', 'See its code in docs/errors.md.', 502, '5.02'),
} as const satisfies Record<string, ErrorEntry>;

export type ErrorCode = keyof typeof CATALOGUE;
