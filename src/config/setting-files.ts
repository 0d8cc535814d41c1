/** The files that settings name, read when the hub starts. Every error names the setting beside the file. */
import { X509Certificate } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { LatchkeyError } from '../core/errors.ts';
import { isJsonObject, type JsonObject } from '../core/json.ts';
import { Secret } from '../core/secret.ts';
import type { Config } from './schema.ts';

/** A bundle of every public certificate authority has 220 KiB; a log given by mistake does not fit. */
const MAX_BYTES = 1_048_576;

/** @throws {LatchkeyError} `file_unreadable`, `config_invalid` */
function readText(setting: string, file: string): string {
  try {
    const { size } = regularFile(setting, file);
    if (size > MAX_BYTES) throw new LatchkeyError('config_invalid', `${setting}: ${file} is larger than 1 MiB`);
    return readFileSync(file, 'utf8');
  } catch (error) {
    if (error instanceof LatchkeyError) throw error;
    const reason = (error as NodeJS.ErrnoException).code ?? 'failed';
    throw new LatchkeyError('file_unreadable', `${setting}: ${file} (${reason})`, { cause: error });
  }
}

/** A pipe or a terminal would keep the hub from starting, and from hearing that it is to stop. */
function regularFile(setting: string, file: string) {
  const facts = statSync(file);
  if (!facts.isFile()) throw new LatchkeyError('config_invalid', `${setting}: ${file} is not a file`);
  return facts;
}

/**
 * An issuer's key set. Whether a key in it can be used is for the part that uses it.
 * @throws {LatchkeyError} `file_unreadable`, `config_invalid`, `jwks_invalid`
 */
export function readKeySet(setting: string, file: string): JsonObject {
  const text = readText(setting, file);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new LatchkeyError('jwks_invalid', `${setting}: ${file} is not JSON`, { cause: error });
  }
  if (!isJsonObject(value)) throw new LatchkeyError('jwks_invalid', `${setting}: ${file} is not a JWK Set`);
  return value;
}

/**
 * A certificate in PEM, of an authority or of the hub itself; a chain may follow.
 * @throws {LatchkeyError} `file_unreadable`, `config_invalid`
 */
export function readCertificate(setting: string, file: string): string {
  const text = readText(setting, file);
  try {
    new X509Certificate(text);
  } catch (error) {
    throw new LatchkeyError('config_invalid', `${setting}: ${file} is not a certificate in PEM`, { cause: error });
  }
  return text;
}

/**
 * Certificate and key of the HTTP API, or nothing where none is configured.
 * @throws {LatchkeyError} `file_unreadable`, `config_invalid`
 */
export function readServerCertificate({ http }: Config): {
  readonly tls?: { readonly cert: string; readonly key: string };
} {
  if (http.tlsCertFile === undefined || http.tlsKeyFile === undefined) return {};
  const cert = readText('http.tls_cert_file', http.tlsCertFile);
  const key = readText('http.tls_key_file', http.tlsKeyFile);
  try {
    // Loaded here since it takes 5 ms, a fifteenth of what a start may take, and most hubs leave TLS to a proxy.
    process.getBuiltinModule('node:tls').createSecureContext({ cert, key });
  } catch {
    // The reason may quote what is in the key file; which of the two is wrong OpenSSL does not say.
    throw new LatchkeyError(
      'config_invalid',
      `http.tls_cert_file and http.tls_key_file: ${http.tlsCertFile} and ${http.tlsKeyFile} are not a certificate and its key in PEM`,
    );
  }
  return { tls: { cert, key } };
}

/**
 * A password, or a private key in PEM. Line ends at its end are the editor's.
 * @throws {LatchkeyError} `file_unreadable`, `config_invalid`
 */
export function readSecret(setting: string, file: string): Secret<string> {
  const text = readText(setting, file).replace(/[\r\n]+$/, '');
  if (text === '') throw new LatchkeyError('config_invalid', `${setting}: ${file} is empty`);
  return new Secret(text);
}
