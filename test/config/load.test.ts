import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { defaultStateDir, loadConfig, parseConfig } from '../../src/config/load.ts';
import { LatchkeyError } from '../../src/core/errors.ts';

const origin = { file: '/etc/latchkey/latchkey.toml', folder: '/etc/latchkey', environment: { HOME: '/home/hub' } };
const ISSUER = '[[issuers]]\nissuer = "https://as.example"\n';

function refusal(text: string): { code: string; detail: string } {
  try {
    parseConfig(text, origin);
  } catch (error) {
    if (error instanceof LatchkeyError) return { code: error.code, detail: error.detail ?? '' };
    throw error;
  }
  throw new Error('was accepted');
}

describe('defaults', () => {
  test('listen on loopback only and deny where unsure', () => {
    const config = parseConfig('', origin);
    expect(config.http.listen).toEqual({ host: '127.0.0.1', port: 8430 });
    expect(config.clock.whenUnsure).toBe('deny');
    expect(config.issuers).toEqual([]);
  });

  test('of an issuer are those of docs/security.md', () => {
    const [issuer] = parseConfig(ISSUER, origin).issuers;
    expect(issuer).toMatchObject({
      algorithms: ['ES256', 'EdDSA', 'PS256', 'RS256'],
      dialect: 'rfc9068',
      offlineLimit: 2_592_000,
      leeway: 60,
      refreshMin: 60,
      refreshMax: 86_400,
      unknownKidCooldown: 30,
      requireRfc9068: false,
    });
  });

  test('put the state under the home folder', () => {
    const config = parseConfig('', origin);
    expect(config.stateDir).toBe('/home/hub/.local/state/latchkey');
    expect(config.admin.socket).toBe('/home/hub/.local/state/latchkey/admin.sock');
  });

  test('put the state where an installed hub has it, if there is one', () => {
    expect(defaultStateDir(origin.environment, tmpdir())).toBe(tmpdir());
    expect(defaultStateDir({ ...origin.environment, STATE_DIRECTORY: '/srv/hub' }, tmpdir())).toBe('/srv/hub');
  });

  test('take the folders that systemd made', () => {
    const environment = { STATE_DIRECTORY: '/var/lib/latchkey', RUNTIME_DIRECTORY: '/run/latchkey' };
    const config = parseConfig('', { ...origin, environment });
    expect(config.stateDir).toBe('/var/lib/latchkey');
    expect(config.admin.socket).toBe('/run/latchkey/admin.sock');
  });

  test('are frozen all the way down', () => {
    const config = parseConfig(ISSUER, origin);
    expect(Object.isFrozen(config)).toBe(true);
    expect(Object.isFrozen(config.http.listen)).toBe(true);
    expect(Object.isFrozen(config.issuers[0]?.algorithms)).toBe(true);
  });
});

describe('values', () => {
  test.each([
    ['wait = "0s"', 0],
    ['wait = "500ms"', 500],
    ['wait = "60s"', 60_000],
    ['wait = "1m"', 60_000],
  ])('of delivery, %s, are milliseconds', (text, expected) => {
    expect(parseConfig(`[delivery]\n${text}`, origin).delivery.wait).toBe(expected);
  });

  test('of limits are seconds', () => {
    expect(parseConfig(`${ISSUER}offline_limit = "36h"`, origin).issuers[0]?.offlineLimit).toBe(129_600);
  });

  test('of sizes are bytes', () => {
    expect(parseConfig('[audit]\nmax_size = "2MiB"\nmax_evidence = "512KiB"', origin).audit).toMatchObject({
      maxSize: 2_097_152,
      maxEvidence: 524_288,
    });
  });

  test('of an issuer that calls itself http: are taken with the address of its keys', () => {
    const text =
      '[[issuers]]\nissuer = "http://adfs.example/adfs/services/trust"\njwks_url = "https://adfs.example/keys"';
    expect(parseConfig(text, origin).issuers[0]?.issuer).toBe('http://adfs.example/adfs/services/trust');
  });

  test('that are paths are relative to the file', () => {
    const config = parseConfig(`${ISSUER}ca_file = "certs/ca.pem"`, origin);
    expect(config.issuers[0]?.caFile).toBe('/etc/latchkey/certs/ca.pem');
  });

  test.each([
    ['[::1]:0', { host: '::1', port: 0 }],
    ['localhost:65535', { host: 'localhost', port: 65_535 }],
  ])('listen on %s', (listen, expected) => {
    expect(parseConfig(`[http]\nlisten = "${listen}"`, origin).http.listen).toEqual(expected);
  });
});

describe('a key that does not exist', () => {
  test('is refused with file, line, column and the nearest known one', () => {
    expect(refusal('[http]\n\nlistn = "127.0.0.1:1"')).toEqual({
      code: 'config_unknown_key',
      detail: '/etc/latchkey/latchkey.toml:3:1: there is no "listn" in http; did you mean "listen"?',
    });
  });

  test('at the top level is refused with the nearest section', () => {
    const { code, detail } = refusal('# comment\n[isuers]\nissuer = "https://as.example"');
    expect(code).toBe('config_unknown_key');
    expect(detail).toContain(':2:1: there is no "isuers" at the top level; did you mean "issuers"?');
  });

  test('in the second table of a list is refused at its line', () => {
    const { detail } = refusal(`${ISSUER}\n[[issuers]]\nissuer = "https://b.example"\noffline-limit = "30d"`);
    expect(detail).toContain(':6:1: there is no "offline-limit" in issuers[1]; did you mean "offline_limit"?');
  });

  test('with no near one is refused with all that are known', () => {
    expect(refusal('[log]\ncolour = true').detail).toContain('known are: level');
  });
});

describe('a value that is not possible', () => {
  test.each([
    ['a number for a duration', '[delivery]\nwait = 5', 'delivery.wait must be a duration'],
    ['a duration without unit', '[delivery]\nwait = "5"', 'delivery.wait must be a duration'],
    ['a duration out of range', '[delivery]\nwait = "2h"', 'delivery.wait must be a duration'],
    ['part of a second where seconds count', '[dpop]\nwindow = "5500ms"', 'in whole seconds'],
    ['a size without a unit', '[audit]\nmax_size = "2000000"', 'audit.max_size must be a size from "1MiB"'],
    ['a size out of range', '[audit]\nmax_size = "1KiB"', 'audit.max_size must be a size from "1MiB"'],
    ['an audit of no size', '[audit]\nmax_records = 0', 'audit.max_records must be at least 1024'],
    ['a word that is no choice', '[log]\nlevel = "loud"', 'log.level must be one of "debug"'],
    ['text for a truth value', '[http]\nbehind_proxy = "yes"', 'http.behind_proxy must be true or false'],
    ['a table for text', '[http.listen]\nport = 1', 'http.listen must be "host:port"'],
    ['text for a section', 'http = "x"', 'http must be a table'],
    [
      'a table for a list of tables',
      '[issuers]\nissuer = "https://as.example"',
      'issuers must be written as [[issuers]]',
    ],
    ['a port past 65535', '[http]\nlisten = "127.0.0.1:65536"', 'http.listen must be "host:port"'],
    ['an issuer without its identifier', '[[issuers]]\nleeway = "5s"', 'issuers[0].issuer is missing'],
    ['an issuer over http', '[[issuers]]\nissuer = "http://as.example"', 'issuers[0].issuer must be an https address'],
    [
      'an issuer over http with keys that are discovered',
      '[[issuers]]\nissuer = "http://as.example"\ndiscovery_url = "https://as.example/metadata"',
      'issuers[0].issuer must be an https address; one over http needs jwks_url or jwks_file',
    ],
    ['an issuer with a query', '[[issuers]]\nissuer = "https://as.example?a"', 'issuers[0].issuer must be an https'],
    [
      'an issuer with a password',
      '[[issuers]]\nissuer = "https://a:b@as.example"',
      'issuers[0].issuer must be an https',
    ],
    ['a key set over http', `${ISSUER}jwks_url = "http://as.example/jwks"`, 'issuers[0].jwks_url must be an https'],
    ['an algorithm without signature', `${ISSUER}algorithms = ["none"]`, 'issuers[0].algorithms[0] must be one of'],
    ['no algorithm at all', `${ISSUER}algorithms = []`, 'issuers[0].algorithms must name at least one'],
    ['a dialect that is none', `${ISSUER}dialect = "okto"`, 'issuers[0].dialect must be one of "rfc9068"'],
    ['no token type at all', `${ISSUER}token_types = []`, 'issuers[0].token_types must name at least one type'],
    ['an empty token type', `${ISSUER}token_types = [""]`, 'issuers[0].token_types[0] must not be empty'],
    ['no claim for the scope', `${ISSUER}scope_claims = []`, 'issuers[0].scope_claims must name at least one claim'],
    ['a demand without a value', `${ISSUER}required_claims = ["a="]`, 'issuers[0].required_claims[0] must be "name"'],
    ['a demand without a name', `${ISSUER}required_claims = ["=a"]`, 'issuers[0].required_claims[0] must be "name"'],
    ['a value for two names', `${ISSUER}required_claims = ["a|b=c"]`, 'issuers[0].required_claims[0] must be "name"'],
    ['an ignored header that chooses a key', `${ISSUER}ignored_headers = ["jwk"]`, 'must be of x5c, zip or enc'],
    ['an ignored header crit', `${ISSUER}ignored_headers = ["crit"]`, 'must be of x5c, zip or enc'],
    [
      'one that may be ignored beside one that may not',
      `${ISSUER}ignored_headers = ["zip|b64"]`,
      'must be of x5c, zip',
    ],
    ['a line name with a slash', '[[lines]]\nname = "a/b"\npath = "/dev/ttyS0"', 'lines[0].name must be 1 to 64'],
    ['a line of a foreign scheme', '[[lines]]\nname = "a"\npath = "udp://h:1"', 'lines[0].path must be a device'],
    ['a network line without port', '[[lines]]\nname = "a"\npath = "tcp://h"', 'lines[0].path must be a device'],
    [
      'a speed that is no number',
      '[[lines]]\nname = "a"\npath = "/dev/x"\nbaud_rate = "fast"',
      'baud_rate must be a whole',
    ],
    ['a broker of a foreign scheme', '[mqtt]\nurl = "ws://h:1"', 'mqtt.url must be "mqtts://host:port"'],
    ['a broker with a password', '[mqtt]\nurl = "mqtts://a:b@h"', 'mqtt.url must be "mqtts://host:port"'],
    ['a broker with a path', '[mqtt]\nurl = "mqtts://h/mqtt"', 'mqtt.url must be "mqtts://host:port"'],
    ['a topic prefix with a wildcard', '[mqtt]\ntopic_prefix = "a/+"', 'mqtt.topic_prefix must be topic levels'],
    ['a topic prefix with an empty level', '[mqtt]\ntopic_prefix = "a//b"', 'mqtt.topic_prefix must be topic levels'],
  ])('%s is refused', (_, text, words) => {
    const { code, detail } = refusal(text);
    expect(code).toBe('config_invalid');
    expect(detail).toContain(words);
  });

  test('is never repeated in the error', () => {
    expect(refusal('[log]\nlevel = "canary-4711"').detail).not.toContain('canary-4711');
  });

  test('is reported with all others, in the order of the file', () => {
    const { detail } = refusal('[log]\nlevel = "loud"\n[http]\nlistn = 1\nlisten = 2');
    expect(detail.split('\n').map((line) => line.split(':')[1])).toEqual(['2', '4', '5']);
  });
});

describe('settings that do not go together', () => {
  test.each([
    ['listening beyond loopback without TLS', '[http]\nlisten = "192.0.2.1:80"', 'http.behind_proxy'],
    [
      'a wildcard without an address for proofs',
      '[http]\nlisten = "0.0.0.0:80"\nbehind_proxy = true',
      'http.public_url',
    ],
    ['a wildcard of IPv6 likewise', '[http]\nlisten = "[::]:80"\nbehind_proxy = true', 'http.public_url'],
    ['a certificate without key', '[http]\ntls_cert_file = "a.pem"', 'http.tls_cert_file needs http.tls_key_file'],
    ['a key without certificate', '[http]\ntls_key_file = "a.pem"', 'http.tls_key_file needs http.tls_cert_file'],
    ['an issuer twice', `${ISSUER}${ISSUER}`, 'issuers[1].issuer was given before'],
    ['a line name twice', '[[lines]]\nname="a"\npath="/dev/x"\n[[lines]]\nname="a"\npath="/dev/y"', 'lines[1].name'],
    ['a line path twice', '[[lines]]\nname="a"\npath="/dev/x"\n[[lines]]\nname="b"\npath="/dev/x"', 'lines[1].path'],
    ['two sources of keys', `${ISSUER}jwks_url = "https://a.example"\njwks_file = "b"`, 'jwks_url and jwks_file'],
    ['a CA for a file', `${ISSUER}ca_file = "a"\njwks_file = "b"`, 'issuers[0].ca_file has no use'],
    ['a client without its secret', `${ISSUER}client_id = "hub"`, '"client_secret_basic" needs client_secret_file'],
    [
      'a client that signs without its key',
      `${ISSUER}client_id = "hub"\nclient_auth = "private_key_jwt"`,
      '"private_key_jwt" needs client_key_file',
    ],
    [
      'a client by certificate without one',
      `${ISSUER}client_id = "hub"\nclient_auth = "tls_client_auth"\nclient_key_file = "k"`,
      '"tls_client_auth" needs client_cert_file',
    ],
    [
      'a certificate that nobody asks for',
      `${ISSUER}client_id = "hub"\nclient_secret_file = "s"\nclient_cert_file = "c"`,
      'client_cert_file has no use with client_secret_basic',
    ],
    [
      'a key id without a signature',
      `${ISSUER}client_id = "hub"\nclient_secret_file = "s"\nclient_key_id = "c"`,
      'client_key_id has no use with client_secret_basic',
    ],
    ['a secret without a client', `${ISSUER}client_secret_file = "s"`, 'client_secret_file needs client_id'],
    ['introspection without a client', `${ISSUER}introspection = "always"`, 'introspection = "always" needs client_id'],
    [
      'introspection at an address that nobody says',
      `${ISSUER}client_id = "hub"\nclient_secret_file = "s"\njwks_file = "b"`,
      'needs introspection_url',
    ],
    ['refreshes that are never allowed', `${ISSUER}refresh_min = "2h"\nrefresh_max = "1h"`, 'refresh_min must not be'],
    ['keys that are too old before a refresh', `${ISSUER}offline_limit = "1h"`, 'refresh_max must not be longer'],
    ['a broker beyond loopback without TLS', '[mqtt]\nurl = "mqtt://broker.example"', 'mqtt.unencrypted'],
    ['two brokers', '[mqtt]\nurl = "mqtts://h"\nembedded = true', 'one of url and embedded'],
    [
      'an embedded broker beyond loopback',
      '[mqtt]\nembedded = true\nembedded_listen = "0.0.0.0:1883"',
      'mqtt.embedded_exposed',
    ],
    ['a certificate for a broker without key', '[mqtt]\ncert_file = "c"', 'mqtt.cert_file needs mqtt.key_file'],
    ['a key for a broker without certificate', '[mqtt]\nkey_file = "k"', 'mqtt.key_file needs mqtt.cert_file'],
    ['a password for a broker without user', '[mqtt]\npassword_file = "p"', 'password_file needs mqtt.username'],
    ['a CA for a broker without TLS', '[mqtt]\nurl = "mqtt://127.0.0.1"\nca_file = "c"', 'mqtt.ca_file has no use'],
    ['a socket path that is too long', `[admin]\nsocket = "/${'a'.repeat(107)}"`, 'longer than 107 bytes'],
  ])('%s is refused', (_, text, words) => {
    const { code, detail } = refusal(text);
    expect(code).toBe('config_invalid');
    expect(detail).toContain(words);
  });

  test('http to an issuer on loopback is accepted', () => {
    expect(parseConfig('[[issuers]]\nissuer = "http://127.0.0.1:9000"', origin).issuers).toHaveLength(1);
  });

  test('a broker beyond loopback is accepted with TLS, or by a setting that names its cost', () => {
    const tls = parseConfig('[mqtt]\nurl = "mqtts://broker.example"\nca_file = "ca.pem"', origin);
    expect(tls.mqtt.caFile).toBe('/etc/latchkey/ca.pem');
    const plain = parseConfig('[mqtt]\nurl = "mqtt://broker.example"\nunencrypted = true', origin);
    expect(plain.mqtt.url).toBe('mqtt://broker.example');
  });

  test('listening beyond loopback with TLS is accepted', () => {
    const text = '[http]\nlisten = "192.0.2.1:443"\ntls_cert_file = "c.pem"\ntls_key_file = "k.pem"';
    expect(parseConfig(text, origin).http.tlsKeyFile).toBe('/etc/latchkey/k.pem');
  });
});

describe('TOML that is none', () => {
  test('is refused with line and column', () => {
    const { code, detail } = refusal('[http]\nlisten = \n');
    expect(code).toBe('config_syntax');
    expect(detail).toMatch(/^\/etc\/latchkey\/latchkey\.toml:2:\d+: /);
  });

  test('with a key twice is refused', () => {
    expect(refusal('[log]\nlevel = "info"\nlevel = "info"').code).toBe('config_syntax');
  });

  test('that is nested without end is refused', () => {
    expect(refusal(`a = ${'['.repeat(30_000)}`).code).toBe('config_syntax');
  });
});

describe('files', () => {
  const folder = mkdtempSync(join(tmpdir(), 'latchkey-config-'));
  afterAll(() => rmSync(folder, { recursive: true }));
  const file = join(folder, 'latchkey.toml');
  writeFileSync(file, 'state_dir = "state"');

  test('are read where --config says', () => {
    const loaded = loadConfig({ path: file, environment: { LATCHKEY_CONFIG: '/nowhere' } });
    expect(loaded.file).toBe(file);
    expect(loaded.config.stateDir).toBe(join(folder, 'state'));
  });

  test('are read where $LATCHKEY_CONFIG says', () => {
    expect(loadConfig({ environment: { LATCHKEY_CONFIG: file } }).file).toBe(file);
  });

  test('that are missing are refused, never replaced by defaults', () => {
    const missing = join(folder, 'missing.toml');
    expect(() => loadConfig({ path: missing, environment: {} })).toThrow(
      expect.objectContaining({ code: 'file_unreadable', detail: `${missing} (ENOENT)` }),
    );
  });

  test('that are too large are refused', () => {
    const large = join(folder, 'large.toml');
    writeFileSync(large, '#'.repeat(1_048_577));
    expect(() => loadConfig({ path: large, environment: {} })).toThrow(
      expect.objectContaining({ code: 'config_invalid' }),
    );
  });
});
