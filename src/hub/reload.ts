/** A new configuration for a hub that runs: what is taken over at once, and what needs a restart. */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { HttpServer } from '../../drivers/http/server.ts';
import type { SerialLine } from '../../drivers/serial/serial-line.ts';
import type { LoadedConfig } from '../config/load.ts';
import type { Config } from '../config/schema.ts';
import { readServerCertificate } from '../config/setting-files.ts';
import { coded, LatchkeyError } from '../core/errors.ts';
import type { JsonObject } from '../core/json.ts';
import type { NamedProfile } from '../devices/named-profile.ts';
import type { Issuers } from '../trust/issuers.ts';
import { policyOf, profilesOf } from './settings.ts';

type LineSettings = Config['lines'][number];
type IssuerSettings = Config['issuers'][number];

export interface ReloadReport extends LoadedConfig {
  /** Settings and lines that are different now. */
  readonly changed: readonly string[];
  /** Settings that differ from those that the hub runs with, and files whose content does. */
  readonly needsRestart: readonly string[];
}

export interface ReloadParts {
  /** What the hub was started with. `lines` is the one list that all parts read, and changes with a reload. */
  readonly config: Config;
  readonly lineSettings: LineSettings[];
  /** Names of `lineSettings`, for those that read names alone. */
  readonly lineNames: string[];
  /** The one list that all parts read. */
  readonly profiles: NamedProfile[];
  readonly lines: Map<string, SerialLine>;
  readonly openLine: (settings: LineSettings) => SerialLine;
  readonly issuers: Issuers;
  readonly issuerChanged: (issuer: string) => void;
  readonly server: HttpServer;
}

/** How the last reload ended, for `latchkey status`. */
export interface ReloadStatus {
  /** Why it was refused. */
  readonly refused: LatchkeyError | undefined;
  /** As the last one that was not refused found it. */
  readonly needsRestart: readonly string[];
}

export class Reload {
  readonly #parts: ReloadParts;
  #status: ReloadStatus = { refused: undefined, needsRestart: [] };
  #config: Config;
  readonly #files: ReadonlyMap<string, string>;
  #certificate: string;

  constructor(parts: ReloadParts) {
    this.#parts = parts;
    this.#config = parts.config;
    this.#files = fileDigests(parts.config);
    this.#certificate = JSON.stringify(readServerCertificate(parts.config));
  }

  get status(): ReloadStatus {
    return this.#status;
  }

  /**
   * Everything is read before anything changes, so a configuration that cannot be used changes nothing.
   * @throws {LatchkeyError} what a start with it would end with, `jwks_invalid` and `file_unreadable` among them
   */
  async take(load: () => LoadedConfig): Promise<ReloadReport> {
    try {
      const loaded = load();
      const report = { ...loaded, ...(await this.#take(loaded.config)) };
      this.#status = { refused: undefined, needsRestart: report.needsRestart };
      return report;
    } catch (error) {
      this.#status = { ...this.#status, refused: coded(error) };
      throw error;
    }
  }

  async #take(next: Config): Promise<Pick<ReloadReport, 'changed' | 'needsRestart'>> {
    const { tls } = readServerCertificate(next);
    const keySets = this.#keySets(next);
    const profiles = profilesOf(next);
    const files = fileDigests(next);
    const needsRestart = [
      ...differences(fixed(this.#parts.config), fixed(next)),
      ...[...files].filter(([name, digest]) => (this.#files.get(name) ?? digest) !== digest).map(([name]) => name),
    ];
    const changed = [
      ...this.#takeCertificate(tls),
      ...keySets.flatMap(([issuer, jwks]) => this.#takeKeySet(issuer, jwks)),
      ...(await this.#takeLines(next.lines)),
      ...this.#takeProfiles(profiles),
      ...(next.log.level === this.#config.log.level ? [] : ['log.level']),
    ];
    this.#config = next;
    return { changed, needsRestart };
  }

  /** Key sets in files, of issuers that have theirs from a file already. */
  #keySets(next: Config): readonly (readonly [string, JsonObject])[] {
    return next.issuers.flatMap((settings) => {
      const { source } = policyOf(settings);
      const running = this.#parts.issuers.find(settings.issuer)?.policy.source.kind;
      return source.kind === 'file' && running === 'file' ? [[settings.issuer, source.jwks] as const] : [];
    });
  }

  #takeKeySet(issuer: string, jwks: JsonObject): readonly string[] {
    if (!this.#parts.issuers.replaceKeySet(issuer, jwks)) return [];
    this.#parts.issuerChanged(issuer);
    return [`jwks_file of ${issuer}`];
  }

  /** For devices that are registered from now on: each has a copy. */
  #takeProfiles(next: readonly NamedProfile[]): readonly string[] {
    const { profiles } = this.#parts;
    const text = (profile: NamedProfile | undefined) => JSON.stringify(profile);
    const names = new Set([...profiles, ...next].map(({ name }) => name));
    const find = (list: readonly NamedProfile[], name: string) => list.find((each) => each.name === name);
    const changed = [...names].filter((name) => text(find(profiles, name)) !== text(find(next, name)));
    profiles.splice(0, profiles.length, ...next);
    return changed.map((name) => `profile ${name}`);
  }

  /** From TLS to none, or the other way, is another server. */
  #takeCertificate(tls: { readonly cert: string; readonly key: string } | undefined): readonly string[] {
    if (tls === undefined || this.#parts.config.http.tlsCertFile === undefined) return [];
    const certificate = JSON.stringify({ tls });
    if (certificate === this.#certificate) return [];
    this.#parts.server.useCertificate(tls);
    this.#certificate = certificate;
    return ['http.tls_cert_file'];
  }

  async #takeLines(next: readonly LineSettings[]): Promise<readonly string[]> {
    const { lineNames, lines, lineSettings, openLine } = this.#parts;
    const same = (a: LineSettings, b: LineSettings) => JSON.stringify(a) === JSON.stringify(b);
    const gone = lineSettings.filter((line) => !next.some((each) => same(each, line)));
    const come = next.filter((line) => !lineSettings.some((each) => same(each, line)));
    lineSettings.splice(0, lineSettings.length, ...next);
    lineNames.splice(0, lineNames.length, ...next.map(({ name }) => name));
    for (const { name } of gone) {
      const line = lines.get(name);
      lines.delete(name);
      // Before another one takes its path.
      await line?.close();
    }
    for (const settings of come) lines.set(settings.name, openLine(settings));
    return [...new Set([...gone, ...come].map(({ name }) => `line ${name}`))];
  }
}

/** Without what a reload takes over. */
function fixed(config: Config) {
  const { http, issuers, log: _log, lines: _lines, profiles: _profiles, ...others } = config;
  const { tlsCertFile, tlsKeyFile: _key, ...restOfHttp } = http;
  return {
    ...others,
    http: { ...restOfHttp, tlsCertFile: tlsCertFile !== undefined },
    issuers: Object.fromEntries(issuers.map((settings) => [settings.issuer, fixedOf(settings)])),
  };
}

function fixedOf({ jwksFile, ...others }: IssuerSettings) {
  return { ...others, jwksFile: jwksFile !== undefined };
}

/** Names, as in TOML, of the settings that are not equal; an issuer that came or went by its own. */
function differences(before: unknown, after: unknown, path = ''): readonly string[] {
  if (JSON.stringify(before) === JSON.stringify(after)) return [];
  if (!isPlain(before) || !isPlain(after)) return [path];
  const names = new Set([...Object.keys(before), ...Object.keys(after)]);
  return [...names].flatMap((name) =>
    differences(before[name], after[name], path === '' ? toml(name) : `${path}.${toml(name)}`),
  );
}

function isPlain(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function toml(name: string): string {
  return /^https?:/.test(name) ? `"${name}"` : name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

/** SHA-256 of the files that are read when the hub starts, and only then, under the names of their settings. */
function fileDigests({ issuers, mqtt }: Config): ReadonlyMap<string, string> {
  const named: [string, string | undefined][] = [
    ['mqtt.password_file', mqtt.passwordFile],
    ['mqtt.ca_file', mqtt.caFile],
    ['mqtt.cert_file', mqtt.certFile],
    ['mqtt.key_file', mqtt.keyFile],
    ...issuers.flatMap(
      ({ caFile, clientCertFile, clientKeyFile, clientSecretFile, issuer }): [string, string | undefined][] => [
        [`ca_file of ${issuer}`, caFile],
        [`client_cert_file of ${issuer}`, clientCertFile],
        [`client_key_file of ${issuer}`, clientKeyFile],
        [`client_secret_file of ${issuer}`, clientSecretFile],
      ],
    ),
  ];
  return new Map(named.flatMap(([name, file]) => (file === undefined ? [] : [[name, digestOf(name, file)]])));
}

function digestOf(setting: string, file: string): string {
  try {
    return createHash('sha256').update(readFileSync(file)).digest('base64url');
  } catch (cause) {
    const reason = (cause as NodeJS.ErrnoException).code ?? 'failed';
    throw new LatchkeyError('file_unreadable', `${setting}: ${file} (${reason})`, { cause });
  }
}
