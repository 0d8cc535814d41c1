/** What a hub answers on its admin socket, read: it may be of another version, or no hub at all. */
import * as z from 'zod/mini';
import { LatchkeyError } from '../core/errors.ts';
import type { JsonObject, JsonValue } from '../core/json.ts';
import type { AddedDevice, AuditPage, AuditVerification, DeviceView, HubStatus } from '../ports/admin.ts';

const text = z.string();
const number = z.number();

const device = z.object({
  id: text,
  audience: text,
  line: z.optional(text),
  profile: z.custom<JsonObject>((value) => typeof value === 'object' && value !== null && !Array.isArray(value)),
  issuers: z.union([z.array(text), z.literal('any')]),
  certificate: z.optional(text),
  trust_version: number,
  added_at: number,
  waiting: number,
});

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
  conditions: z.array(z.object({ code: text, subject: text, title: text, fix: text })),
});

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

/** Flat, as all records are; what is in it is shown, or hashed by `audit verify`. */
function isAuditRecord(value: unknown): boolean {
  if (typeof value !== 'object' || value === null || !('sequence' in value) || !('hash' in value)) return false;
  const isFlat = Object.values(value).every((member) => ['string', 'number', 'boolean'].includes(typeof member));
  return isFlat && typeof value.sequence === 'number' && typeof value.hash === 'string';
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
export const readDevices: (answer: JsonValue) => readonly DeviceView[] = reader(z.array(device));
export const readAddedDevice: (answer: JsonValue) => AddedDevice = reader(z.object({ device, trust: text }));
export const readAuditPage: (answer: JsonValue) => AuditPage = reader(auditPage);
export const readVerification: (answer: JsonValue) => AuditVerification = reader(verification);
/** The text of a credentials file. */
export const readCredentials: (answer: JsonValue) => string = reader(
  z.pipe(
    z.object({ credentials: text }),
    z.transform(({ credentials }) => credentials),
  ),
);
