/**
 * The setup code on the label of a device (docs/protocol.md, "Provisioning"): its id and a secret of 128 bits, which shows
 * whoever holds the label that this is the device, and the device that this is whoever holds the label.
 */
import type { Random } from '../core/clock.ts';
import { isProfileName } from '../core/device-id.ts';
import { LatchkeyError } from '../core/errors.ts';
import { LIMITS } from '../core/limits.ts';
import { Secret } from '../core/secret.ts';
import { crockfordCheck, crockfordLength, decodeCrockford, encodeCrockford, isCrockfordCheck } from './crockford.ts';

const SECRET_BYTES = 16;
const PREFIX = /^latchkey:1\?/i;
const DEVICE_ID = /^[a-z0-9][a-z0-9._-]{0,62}$/;
/** Symbols between two dashes of the form to type: what a person keeps in mind from one look. */
const GROUP = 5;

export interface SetupCode {
  /** The device's id, which only the QR text has. */
  readonly id: string | undefined;
  /** A profile of the hub's configuration, where the QR text names one. Nothing authenticates it. */
  readonly profile: string | undefined;
  /** 16 bytes. */
  readonly secret: Secret<Uint8Array>;
}

/** A secret for the label of a device that has none. */
export function newSetupSecret(random: Pick<Random, 'bytes'>): Secret<Uint8Array> {
  return new Secret(random.bytes(SECRET_BYTES));
}

/**
 * A code as a QR reader gives it, `latchkey:1?id=…&s=…&c=…` and perhaps `&profile=…`, or as a person types it: 26 symbols and the check symbol, with
 * dashes or spaces anywhere, in capitals or not.
 * @throws {LatchkeyError} `setup_code_invalid`, without any part of it
 */
export function readSetupCode(text: string): SetupCode {
  if (text.length > LIMITS.setupCodeLength) throw invalid('too long');
  const trimmed = text.trim();
  return PREFIX.test(trimmed) ? readQrText(trimmed.replace(PREFIX, '')) : readTyped(trimmed);
}

/** What the QR code of the label holds. */
export function setupCodeText(id: string, secret: Secret<Uint8Array>, profile?: string): Secret<string> {
  if (!DEVICE_ID.test(id))
    throw new LatchkeyError('device_invalid', 'id: 1 to 63 of a-z 0-9 . _ -, not starting with a mark');
  if (profile !== undefined && !isProfileName(profile))
    throw new LatchkeyError('device_invalid', 'profile: 1 to 32 of a-z 0-9 . _ -, not starting with a mark');
  const bytes = secret.expose();
  const kind = profile === undefined ? '' : `&profile=${profile}`;
  return new Secret(`latchkey:1?id=${id}&s=${encodeCrockford(bytes)}&c=${crockfordCheck(bytes)}${kind}`);
}

/** What stands beside it for people to type: `XXXXX-XXXXX-XXXXX-XXXXX-XXXXX-XX`. */
export function setupCodeToType(secret: Secret<Uint8Array>): Secret<string> {
  const bytes = secret.expose();
  const symbols = `${encodeCrockford(bytes)}${crockfordCheck(bytes)}`;
  return new Secret(symbols.replace(new RegExp(`.{${GROUP}}(?=.)`, 'g'), '$&-'));
}

function readQrText(query: string): SetupCode {
  const members = new Map<string, string>();
  for (const part of query.split('&')) {
    const at = part.indexOf('=');
    const name = part.slice(0, Math.max(at, 0));
    if (!['id', 's', 'c', 'profile'].includes(name) || members.has(name))
      throw invalid('not id, s, c and perhaps profile, each once');
    members.set(name, part.slice(at + 1));
  }
  const id = members.get('id') ?? '';
  if (!DEVICE_ID.test(id)) throw invalid('id');
  const profile = members.get('profile');
  if (profile !== undefined && !isProfileName(profile)) throw invalid('profile');
  return { id, profile, secret: checked(members.get('s') ?? '', members.get('c') ?? '') };
}

function readTyped(text: string): SetupCode {
  const symbols = text.replace(/[\s-]/g, '');
  const end = crockfordLength(SECRET_BYTES);
  return { id: undefined, profile: undefined, secret: checked(symbols.slice(0, end), symbols.slice(end)) };
}

function checked(symbols: string, check: string): Secret<Uint8Array> {
  const bytes = decodeCrockford(symbols, SECRET_BYTES);
  if (bytes === undefined) throw invalid('length or a character');
  if (!isCrockfordCheck(check, bytes)) throw invalid('check symbol');
  return new Secret(bytes);
}

function invalid(detail: string): LatchkeyError {
  return new LatchkeyError('setup_code_invalid', detail);
}
