/** What the audit keeps of the end of a delivery. */
import type { ErrorCode } from '../core/error-catalogue.ts';
import type { Delivery } from '../devices/delivery.ts';
import type { AuditEntry } from '../ports/audit.ts';

type End =
  | { readonly state: 'delivered' }
  | { readonly state: 'refused' | 'expired' | 'cancelled'; readonly code: ErrorCode };

export function deliveryEnd({ device, id, origin, request }: Delivery, end: End): AuditEntry {
  return {
    kind: 'deliver-end',
    verdict: end.state,
    device,
    request,
    delivery: id,
    ...(origin === undefined ? {} : { token: origin.digest, issuer: origin.issuer, subject: origin.subject }),
    ...(end.state === 'delivered' ? {} : { code: end.code }),
  };
}
