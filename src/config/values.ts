/** The kinds of value that settings have, each with the words that describe it when it is wrong. */
import * as z from 'zod/mini';
import { isProfileName } from '../core/device-id.ts';
import { METHODS, readPermission } from '../core/permission.ts';
import { readScopePattern } from '../core/scope-pattern.ts';

const MILLISECONDS = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;
const DURATION = /^(\d{1,9})(ms|s|m|h|d)$/;

function inMilliseconds(text: string): number {
  const match = DURATION.exec(text);
  const unit = match?.[2] as keyof typeof MILLISECONDS | undefined;
  return unit === undefined ? Number.NaN : Number(match?.[1]) * MILLISECONDS[unit];
}

interface DurationLimits {
  readonly min: string;
  readonly max: string;
}

function duration(limits: DurationLimits, divisor: number) {
  const words = `must be a duration from "${limits.min}" to "${limits.max}", such as "500ms", "60s", "15m", "24h" or "30d"`;
  const [min, max] = [inMilliseconds(limits.min), inMilliseconds(limits.max)];
  const inRange = z.refine<string>(
    (text) => inMilliseconds(text) >= min && inMilliseconds(text) <= max && inMilliseconds(text) % divisor === 0,
    { error: divisor === 1 ? words : `${words}, in whole seconds` },
  );
  return z.pipe(
    z.string({ error: words }).check(z.regex(DURATION, { error: words, abort: true }), inRange),
    z.transform((text: string) => inMilliseconds(text) / divisor),
  );
}

/** A duration that judgement uses; seconds once read. */
export function seconds(limits: DurationLimits) {
  return duration(limits, 1_000);
}

/** A duration that timers use; milliseconds once read. */
export function milliseconds(limits: DurationLimits) {
  return duration(limits, 1);
}

const BYTES = { KiB: 1_024, MiB: 1_048_576, GiB: 1_073_741_824 } as const;
const SIZE = /^(\d{1,6})(KiB|MiB|GiB)$/;

function inBytes(text: string): number {
  const match = SIZE.exec(text);
  const unit = match?.[2] as keyof typeof BYTES | undefined;
  return unit === undefined ? Number.NaN : Number(match?.[1]) * BYTES[unit];
}

/** An amount of storage; bytes once read. */
export function bytes(limits: { readonly min: string; readonly max: string }) {
  const words = `must be a size from "${limits.min}" to "${limits.max}", such as "512KiB", "48MiB" or "1GiB"`;
  const [min, max] = [inBytes(limits.min), inBytes(limits.max)];
  return z.pipe(
    z.string({ error: words }).check(
      z.regex(SIZE, { error: words, abort: true }),
      z.refine((text) => inBytes(text) >= min && inBytes(text) <= max, { error: words }),
    ),
    z.transform(inBytes),
  );
}

export interface ListenAddress {
  /** Name or address, an IPv6 address without its brackets. */
  readonly host: string;
  /** 0 lets the system choose a free one. */
  readonly port: number;
}

const LISTEN = /^(\[[0-9a-fA-F:.]{2,45}\]|[0-9A-Za-z.-]{1,253}):(\d{1,5})$/;
const LISTEN_WORDS = 'must be "host:port", such as "127.0.0.1:8430", "[::]:8430" or "127.0.0.1:0"';

export const listenAddress = z.pipe(
  z.string({ error: LISTEN_WORDS }).check(
    z.regex(LISTEN, { error: LISTEN_WORDS, abort: true }),
    z.refine((text) => Number(LISTEN.exec(text)?.[2]) <= 65_535, { error: LISTEN_WORDS }),
  ),
  z.transform((text: string): ListenAddress => {
    const match = LISTEN.exec(text);
    return { host: (match?.[1] ?? '').replace(/^\[|\]$/g, ''), port: Number(match?.[2]) };
  }),
);

/** Whether only programs on this machine can reach the host. */
export function isLoopback(host: string): boolean {
  const bare = host.replace(/^\[|\]$/g, '').toLowerCase();
  return bare === 'localhost' || bare === '::1' || /^127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/.test(bare);
}

const URL_WORDS = 'must be an https address without query, fragment or password (http only for loopback)';

function isAcceptableUrl(text: string, query: boolean): boolean {
  if (!URL.canParse(text)) return false;
  const url = new URL(text);
  const secure = url.protocol === 'https:' || (url.protocol === 'http:' && isLoopback(url.hostname));
  return secure && (query || !text.includes('?')) && !text.includes('#') && url.username === '' && url.password === '';
}

/** An address by which we are known. Kept exactly as written. */
export const identifierUrl = z
  .string({ error: URL_WORDS })
  .check(z.refine((text) => isAcceptableUrl(text, false), { error: URL_WORDS }));

/**
 * An issuer identifier (RFC 8414 §2), kept exactly as written. Some servers call themselves `http:` in their tokens, ADFS for
 * one: that is a name as good as another where nothing is fetched from it (`issuerRules` in rules.ts).
 */
export const issuerIdentifier = z
  .string({ error: URL_WORDS })
  .check(z.refine((text) => isAcceptableUrl(text.replace(/^http:/, 'https:'), false), { error: URL_WORDS }));

/** Whether a hub may fetch from there. */
export function isFetchable(identifier: string): boolean {
  return isAcceptableUrl(identifier, false);
}

/** An address that is fetched; it may have a query. */
export const fetchUrl = z.string({ error: 'must be an https address (http only for loopback)' }).check(
  z.refine((text) => isAcceptableUrl(text, true), {
    error: 'must be an https address without fragment or password (http only for loopback)',
  }),
);

const PATH_WORDS = 'must be a path, absolute or relative to the folder of the configuration file';

/** The longest path that Linux takes is 4095 bytes; a NUL would cut it short. */
export const filePath = z
  .string({ error: PATH_WORDS })
  .check(z.refine((text) => text.length > 0 && text.length < 4_096 && !text.includes('\0'), { error: PATH_WORDS }));

const NAME_WORDS = 'must be 1 to 64 letters, digits, dots, dashes or underscores, a letter or digit first';

export const name = z
  .string({ error: NAME_WORDS })
  .check(z.regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/, { error: NAME_WORDS }));

const PROFILE_WORDS = 'must be 1 to 32 of a-z, 0-9, dots, dashes and underscores, a letter or digit first';

/** In the QR text of a label, which is short. */
export const profileName = z
  .string({ error: PROFILE_WORDS })
  .check(z.refine((text) => isProfileName(text), { error: PROFILE_WORDS }));

const PERMISSION_WORDS = `must be "scope=METHOD[,METHOD] path" with methods of ${METHODS.join(', ')}`;

/** What a scope permits. */
export const permission = z
  .string({ error: PERMISSION_WORDS })
  .check(z.refine((text) => !('fault' in readPermission(text)), { error: PERMISSION_WORDS }));

const CLIENT_WORDS = 'must be 1 to 512 visible ASCII characters';

/** What an AS calls us or our keys by (RFC 6749 appendix A.1: visible ASCII; the length is ours). */
export const clientText = z
  .string({ error: CLIENT_WORDS })
  .check(z.regex(/^[\x20-\x7e]{1,512}$/, { error: CLIENT_WORDS }));

const LINE_WORDS = 'must be a device such as "/dev/serial/by-id/usb-…", or "tcp://host:port"';

/** A serial device, or a network serial server. */
export const linePath = z.string({ error: LINE_WORDS }).check(
  z.refine((text) => {
    if (text.startsWith('/')) return text.length < 4_096 && !text.includes('\0');
    const match = /^tcp:\/\/(.+)$/.exec(text);
    const port = Number(LISTEN.exec(match?.[1] ?? '')?.[2] ?? 0);
    return port > 0 && port <= 65_535;
  }, LINE_WORDS),
);

const ADAPTER_WORDS = 'must be "auto", an adapter such as "hci0", or the path of a serial port with a controller on it';

/** A Bluetooth adapter of the system, or a controller on a serial port (H4). */
export const radioAdapter = z
  .string({ error: ADAPTER_WORDS })
  .check(z.regex(/^(auto|hci\d{1,3}|\/[^\0]{1,4094})$/, { error: ADAPTER_WORDS }));

const UUID_WORDS = 'must be a UUID such as "8df804b7-3300-496d-9dfa-f8fb40a236bc"';

/** 128 bits, as hexadecimal digits without dashes once read. */
export const uuid = z.pipe(
  z
    .string({ error: UUID_WORDS })
    .check(z.regex(/^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$/, { error: UUID_WORDS })),
  z.transform((text: string) => text.replaceAll('-', '').toLowerCase()),
);

/** A whole number in a range. */
export function whole(min: number, max: number) {
  return z
    .int({ error: 'must be a whole number' })
    .check(z.minimum(min, { error: `must be at least ${min}` }), z.maximum(max, { error: `must be at most ${max}` }));
}

const BROKER_WORDS = 'must be "mqtts://host:port" or "mqtt://host:port", without path or password';

/** An MQTT broker; without a port it is 8883 and 1883. */
export const brokerUrl = z.string({ error: BROKER_WORDS }).check(
  z.refine((text) => {
    if (!URL.canParse(text)) return false;
    const { hash, hostname, password, pathname, protocol, search, username } = new URL(text);
    const bare = (pathname === '' || pathname === '/') && `${search}${hash}${username}${password}` === '';
    return (protocol === 'mqtt:' || protocol === 'mqtts:') && hostname !== '' && bare;
  }, BROKER_WORDS),
);

const TOPIC_WORDS = 'must be topic levels of letters, digits, dots, dashes and underscores, such as "latchkey/v1"';

export const topicPrefix = z
  .string({ error: TOPIC_WORDS })
  .check(z.regex(/^(?=.{1,64}$)[A-Za-z0-9._-]+(\/[A-Za-z0-9._-]+)*$/, { error: TOPIC_WORDS }));

const PATTERN_WORDS =
  'must have {device} and {scope} once each, with a character between them that no device id has, such as "{device}/{scope}"';

/** Scopes that name a device. */
export const scopePattern = z
  .string({ error: PATTERN_WORDS })
  .check(z.refine((text) => readScopePattern(text) !== undefined, { error: PATTERN_WORDS }));

/** A name or an id that goes to another server as it is. */
export function shortText(most = 128) {
  const words = `must be text of 1 to ${most} characters`;
  return z.string({ error: words }).check(z.minLength(1, { error: words }), z.maxLength(most, { error: words }));
}

export function flag() {
  return z.boolean({ error: 'must be true or false' });
}

export function oneOf<const Values extends readonly [string, ...string[]]>(values: Values) {
  return z.enum(values, { error: `must be one of ${values.map((value) => `"${value}"`).join(', ')}` });
}
