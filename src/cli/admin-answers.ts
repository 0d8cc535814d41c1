/** What a hub answers on its admin socket, read: it may be of another version, or no hub at all. */
import * as z from 'zod/mini';
import type { ErrorCode } from '../core/error-catalogue.ts';
import { LatchkeyError } from '../core/errors.ts';
import type { JsonObject, JsonValue } from '../core/json.ts';
import type {
  AddedDevice,
  AuditPage,
  AuditVerification,
  ClockResetView,
  DeviceView,
  HubStatus,
  IssuerKeysView,
  ListedDelivery,
  Page,
  ProfileView,
  RetriedDelivery,
  RotatedHubKey,
  TrustView,
  Unpaired,
} from '../ports/admin.ts';
import type { PairedDevice, PairingView } from '../ports/pairing.ts';

const text = z.string();
const number = z.number();

const jsonObject = z.custom<JsonObject>(
  (value) => typeof value === 'object' && value !== null && !Array.isArray(value),
);

const device = z.object({
  id: text,
  audience: text,
  name: z.optional(text),
  line: z.optional(text),
  ble: z.optional(z.object({ name: text })),
  profile: jsonObject,
  profile_name: z.optional(text),
  profile_differs: z.optional(z.boolean()),
  paired: z.optional(z.boolean()),
  issuers: z.union([z.array(text), z.literal('any')]),
  certificate: z.optional(text),
  trust_version: number,
  added_at: number,
  waiting: number,
  unfinished: z.optional(z.boolean()),
});

const profiles = z.array(
  z.object({
    name: text,
    profile: jsonObject,
    audience: text,
    issuers: z.optional(z.union([z.array(text), z.literal('any')])),
    devices: number,
    differing: number,
  }),
);

const status = z.object({
  version: text,
  uptime: number,
  clock: z.object({ certainty: z.enum(['sure', 'unsure']), floor: number }),
  issuers: z.array(
    z.object({
      issuer: text,
      address: text,
      keys: z.array(z.object({ keyId: z.optional(text), algorithms: z.array(text) })),
      skipped: z.array(z.object({ keyId: z.optional(text), reason: text })),
      age: z.optional(number),
      offlineLimit: number,
      lastError: z.optional(text),
      nextRefresh: z.optional(number),
      introspection: z.optional(
        z.object({
          state: z.enum(['ready', 'suspended', 'probing']),
          failures: number,
          slowed: number,
          lastError: z.optional(text),
          endpoint: z.enum(['known', 'unknown', 'none']),
          retryIn: z.optional(number),
          verdicts: number,
          asking: number,
        }),
      ),
    }),
  ),
  lines: z.array(
    z.object({
      name: text,
      path: text,
      up: z.boolean(),
      lastError: z.optional(text),
      lastErrorDetail: z.optional(text),
      counters: z.record(text, number),
    }),
  ),
  radio: z.optional(
    z.object({
      adapter: text,
      address: z.optional(text),
      up: z.boolean(),
      lastError: z.optional(text),
      lastErrorDetail: z.optional(text),
      links: number,
      room: number,
      counters: z.record(text, number),
      devices: z.array(
        z.object({
          device: text,
          name: text,
          up: z.boolean(),
          connected: z.boolean(),
          address: z.optional(text),
          rssi: z.optional(number),
          rivals: number,
        }),
      ),
    }),
  ),
  broker: z.optional(
    z.object({
      up: z.boolean(),
      lastError: z.optional(text),
      lastErrorDetail: z.optional(text),
      counters: z.record(text, number),
    }),
  ),
  devices: number,
  deliveries: z.record(text, number),
  audit: z.object({ records: number, head: text, lost: number }),
  conditions: z.array(z.object({ code: text, subject: text, title: text, fix: text, detail: z.optional(text) })),
});

/** A hub of a later version may have codes that this program does not know. */
const code = z.custom<ErrorCode>((value) => typeof value === 'string');

const trust = z.object({
  device: text,
  state: z.enum(['current', 'waiting', 'refused', 'by_hand', 'lost']),
  version: number,
  held_since: number,
  pending: z.optional(number),
  waiting_since: z.optional(number),
  changes: z.array(text),
  code: z.optional(code),
  device_code: z.optional(text),
  signed_by: z.optional(text),
});

const rotated = z.object({ keys: z.record(text, text), waiting: z.array(text) });

const auditPage = z.object({
  records: z.array(z.custom<AuditPage['records'][number]>(isAuditRecord)),
  through: number,
  dropped: text,
  head: text,
  unreadable: number,
  evidence: z.record(text, text),
});

const verification = z.object({
  records: number,
  dropped: text,
  head: text,
  faults: z.array(
    z.object({
      sequence: number,
      fault: z.custom<AuditVerification['faults'][number]['fault']>((value) => typeof value === 'string'),
      through: z.optional(number),
    }),
  ),
});

const delivery = z.object({
  delivery: text,
  state: z.enum(['queued', 'delivered', 'refused', 'expired', 'cancelled']),
  device: text,
  audience: text,
  token_hash: text,
  cti: text,
  expires_at: number,
  scope: text,
  device_code: z.optional(text),
  code: z.optional(text),
  receipt: z.optional(z.boolean()),
  bytes: z.object({ jwt: number, cwt: number }),
  freshness: z.object({ keys_age: number, clock: z.enum(['sure', 'unsure']) }),
  difficulty: z.optional(z.object({ code: text, failures: number })),
});

/** Flat, as all records are; what is in it is shown, or hashed by `audit verify`. */
function isAuditRecord(value: unknown): boolean {
  if (typeof value !== 'object' || value === null || !('sequence' in value) || !('hash' in value)) return false;
  const isFlat = Object.values(value).every((member) => ['string', 'number', 'boolean'].includes(typeof member));
  return isFlat && typeof value.sequence === 'number' && typeof value.hash === 'string';
}

function pageOf<T extends z.ZodMiniType>(item: T) {
  return z.object({ items: z.array(item), next: z.optional(text) });
}

function reader<T>(schema: z.ZodMiniType<T>): (answer: JsonValue) => T {
  return (answer) => {
    const read = schema.safeParse(answer, { jitless: true });
    if (read.success) return read.data;
    const [issue] = read.error.issues;
    throw new LatchkeyError('client_answer_invalid', `the hub's answer: ${issue?.path.join('.') || 'not an object'}`);
  };
}

/** Each throws `client_answer_invalid`, naming the member that is not as agreed. */
export const readStatus: (answer: JsonValue) => HubStatus = reader(status);
export const readDevice: (answer: JsonValue) => DeviceView = reader(device);
export const readDevices: (answer: JsonValue) => Page<DeviceView> = reader(pageOf(device));
export const readProfiles: (answer: JsonValue) => readonly ProfileView[] = reader(profiles);
export const readIssuerKeys = reader(z.object({ keys: z.array(jsonObject), age: z.optional(number) })) as (
  answer: JsonValue,
) => IssuerKeysView;
export const readAddedDevice: (answer: JsonValue) => AddedDevice = reader(z.object({ device, trust: text }));
export const readDeliveries = reader(pageOf(delivery)) as (answer: JsonValue) => Page<ListedDelivery>;
export const readDelivery = reader(delivery) as (answer: JsonValue) => ListedDelivery;
export const readRetried = reader(z.extend(delivery, { before: number })) as (answer: JsonValue) => RetriedDelivery;
export const readTrust: (answer: JsonValue) => Page<TrustView> = reader(pageOf(trust));
export const readRotated: (answer: JsonValue) => RotatedHubKey = reader(rotated);
export const readClockReset: (answer: JsonValue) => ClockResetView = reader(
  z.object({ before: number, after: number, clock: z.optional(number) }),
);
export const readAuditPage: (answer: JsonValue) => AuditPage = reader(auditPage);
export const readVerification: (answer: JsonValue) => AuditVerification = reader(verification);
export const readUnpaired: (answer: JsonValue) => Unpaired = reader(z.object({ code: z.optional(text) }));
export const readPairing: (answer: JsonValue) => PairingView = reader(
  z.object({
    closes_in: number,
    attempts_left: number,
    candidates: z.array(
      z.object({
        key: text,
        name: text,
        medium: z.enum(['line', 'ble']),
        signal: z.optional(number),
        rivals: z.optional(number),
      }),
    ),
    obstacles: z.array(
      z.object({
        place: text,
        code: text,
        detail: z.optional(text),
        lasting: z.boolean(),
        title: text,
        fix: text,
      }),
    ),
  }),
);
export const readPairedDevice: (answer: JsonValue) => PairedDevice = reader(
  z.object({
    device,
    state: z.enum(['paired', 'unfinished']),
    reason: z.optional(z.object({ code, detail: z.optional(text) })),
  }),
);
/** The text of a credentials file. */
export const readCredentials: (answer: JsonValue) => string = reader(
  z.pipe(
    z.object({ credentials: text }),
    z.transform(({ credentials }) => credentials),
  ),
);
