/** What a hub answers on its admin socket, read: it may be of another version, or no hub at all. */
import * as z from 'zod/mini';
import { LatchkeyError } from '../core/errors.ts';
import type { JsonObject, JsonValue } from '../core/json.ts';
import type { AddedDevice, DeviceView, HubStatus } from '../ports/admin.ts';

const text = z.string();
const number = z.number();

const device = z.object({
  id: text,
  audience: text,
  line: text,
  profile: z.custom<JsonObject>((value) => typeof value === 'object' && value !== null && !Array.isArray(value)),
  issuers: z.union([z.array(text), z.literal('any')]),
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
  devices: number,
  deliveries: z.record(text, number),
  conditions: z.array(z.object({ code: text, subject: text, title: text, fix: text })),
});

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
