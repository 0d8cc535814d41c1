/**
 * The credentials file: what a connected device is given to ask its hub with, as JSON. Three secrets, each for one use:
 * the password for HTTP, the key of the MAC over requests on CoAP and MQTT, and the key that answers are sealed with.
 */
import { coded, isCoded, LatchkeyError } from '../core/errors.ts';
import { isJsonObject, type JsonObject, type JsonValue } from '../core/json.ts';
import { Secret } from '../core/secret.ts';
import { type CoseKey, importJwk } from './cose/key.ts';

const FORMAT = 'latchkey-credentials-1';
const MEMBERS: ReadonlySet<string> = new Set([
  'format',
  'device',
  'audience',
  'httpSecret',
  'introspectKey',
  'sessionKey',
]);

export interface Credentials {
  /** Its id at the hub: the user name for HTTP, the kid of its requests, a level of its MQTT topics. */
  readonly device: string;
  /** The `aud` of tokens that it may ask about. */
  readonly audience: string;
  readonly httpSecret: Secret<string>;
  /** HMAC 256/64. */
  readonly introspectKey: CoseKey;
  /** AES-CCM-16-64-128. */
  readonly sessionKey: CoseKey;
}

export interface CredentialsContents {
  readonly device: string;
  readonly audience: string;
  readonly httpSecret: Secret<string>;
  readonly introspectKey: Secret<JsonObject>;
  readonly sessionKey: Secret<JsonObject>;
}

/**
 * The text of a credentials file. It holds the device's secrets: for mode 0600 and the way to the device only.
 * @throws {LatchkeyError} `credentials_file_invalid` where `readCredentialsFile` would refuse it
 */
export function writeCredentialsFile(contents: CredentialsContents): string {
  const file: JsonObject = {
    format: FORMAT,
    device: contents.device,
    audience: contents.audience,
    httpSecret: contents.httpSecret.expose(),
    introspectKey: contents.introspectKey.expose(),
    sessionKey: contents.sessionKey.expose(),
  };
  const text = `${JSON.stringify(file, undefined, 2)}\n`;
  readCredentialsFile(text);
  return text;
}

/**
 * A credentials file with its keys imported.
 * @throws {LatchkeyError} `credentials_file_invalid`, naming the member and never its value
 */
export function readCredentialsFile(text: string): Credentials {
  const file = parse(text);
  const unknown = Object.keys(file).find((name) => !MEMBERS.has(name));
  if (unknown !== undefined) throw invalid(unknown, 'unknown member');
  if (file.format !== FORMAT) throw invalid('format', `not ${FORMAT}`);
  return {
    device: textMember(file, 'device'),
    audience: textMember(file, 'audience'),
    httpSecret: new Secret(textMember(file, 'httpSecret')),
    introspectKey: key(file, 'introspectKey', 'HMAC 256/64'),
    sessionKey: key(file, 'sessionKey', 'AES-CCM-16-64-128'),
  };
}

function parse(text: string): JsonObject {
  let value: JsonValue;
  try {
    value = JSON.parse(text);
  } catch {
    // The parser's message quotes the text around the fault, which may be a key.
    throw new LatchkeyError('credentials_file_invalid', 'not JSON');
  }
  if (!isJsonObject(value)) throw new LatchkeyError('credentials_file_invalid', 'not a JSON object');
  return value;
}

function key(file: JsonObject, name: string, algorithm: CoseKey['algorithm']): CoseKey {
  const jwk = file[name];
  if (!isJsonObject(jwk)) throw invalid(name, 'not a JWK');
  try {
    return importJwk(jwk, algorithm);
  } catch (error) {
    throw isCoded(error) ? invalid(name, error.detail ?? error.code) : coded(error);
  }
}

function textMember(file: JsonObject, name: string): string {
  const value = file[name];
  if (typeof value !== 'string' || value === '') throw invalid(name, 'missing or no text');
  return value;
}

function invalid(member: string, reason: string): LatchkeyError {
  return new LatchkeyError('credentials_file_invalid', `${member}: ${reason}`);
}
