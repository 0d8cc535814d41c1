/** Numbers of the Host Controller Interface (Bluetooth Core 5.4, Vol 4 Part E; the section is named behind each). */

/** Types of H4 packets (Part A §2). */
export const PACKET = { command: 0x01, data: 0x02, event: 0x04 } as const;

export const EVENT = {
  disconnectionComplete: 0x05, // 7.7.5
  encryptionChange: 0x08, // 7.7.8
  commandComplete: 0x0e, // 7.7.14
  commandStatus: 0x0f, // 7.7.15
  completedPackets: 0x13, // 7.7.19
  leMeta: 0x3e, // 7.7.65
} as const;

export const LE_EVENT = {
  connectionComplete: 0x01, // 7.7.65.1
  advertisingReport: 0x02, // 7.7.65.2
  connectionUpdateComplete: 0x03, // 7.7.65.3
  dataLengthChange: 0x07, // 7.7.65.7
  enhancedConnectionComplete: 0x0a, // 7.7.65.10
  extendedAdvertisingReport: 0x0d, // 7.7.65.13
} as const;

/** Bytes before the parameters of an event: packet type, event code, length. */
export const EVENT_HEADER_BYTES = 3;
/** Bytes before the payload of a data packet: packet type, handle with flags, length. */
export const DATA_HEADER_BYTES = 5;
