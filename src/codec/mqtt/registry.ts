/** Numbers of MQTT 5.0 that the gates before the MQTT libraries need. */

/** Control packets (§2.1.2). */
export const PACKET = {
  CONNECT: 1,
  CONNACK: 2,
  PUBLISH: 3,
  PUBACK: 4,
  PUBREC: 5,
  PUBREL: 6,
  PUBCOMP: 7,
  SUBSCRIBE: 8,
  SUBACK: 9,
  UNSUBSCRIBE: 10,
  UNSUBACK: 11,
  PINGREQ: 12,
  PINGRESP: 13,
  DISCONNECT: 14,
  AUTH: 15,
} as const;

export type PacketType = (typeof PACKET)[keyof typeof PACKET];

/** Reason codes (§2.4). */
export const REASON = {
  success: 0x00,
  malformed: 0x81,
  protocolError: 0x82,
  unsupportedVersion: 0x84,
  filterInvalid: 0x8f,
  topicAliasInvalid: 0x94,
  packetTooLarge: 0x95,
  quotaExceeded: 0x97,
  administrative: 0x98,
  qosNotSupported: 0x9b,
} as const;
