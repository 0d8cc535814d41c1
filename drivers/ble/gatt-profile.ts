/** Which service and characteristics carry CoAP. UUIDs with or without dashes, in lower case. */
export interface GattProfile {
  readonly service: string;
  /** The hub writes, with response. */
  readonly downstream: string;
  /** The device indicates; what did not fit is read. */
  readonly upstream: string;
}

/** draft-ietf-core-coap-over-gatt, "Requests and responses". Older drafts have others. */
export const DRAFT_GATT_PROFILE: GattProfile = {
  service: '8df804b7-3300-496d-9dfa-f8fb40a236bc',
  downstream: '8bf52767-5625-43ca-a678-70883a366866',
  upstream: 'ab3720c8-7fc0-41f8-aa2a-9a45c2c01a4b',
};
