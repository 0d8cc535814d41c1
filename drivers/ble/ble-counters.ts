/** What a radio counts since the process started. */
export interface BleCounters {
  /** Advertisements of devices that are of interest. */
  heard: number;
  /** Advertisements under other names, or of nobody's. */
  passedOver: number;
  /** Values of characteristics, all links together. */
  bytesSent: number;
  bytesReceived: number;
  connected: number;
  connectFailed: number;
  /** Links that ended without having been let go. */
  lost: number;
  /** Links that were let go for others that waited. */
  gaveWay: number;
  /** Answers that the key of the device did not vouch for. */
  unproven: number;
  /** Packets that broke a rule and were dropped; where a peer sent them its link ended. */
  brokenRules: number;
  /** Times that the adapter came. */
  opened: number;
  openFailed: number;
  adapterLost: number;
}

export function newBleCounters(): BleCounters {
  return {
    heard: 0,
    passedOver: 0,
    bytesSent: 0,
    bytesReceived: 0,
    connected: 0,
    connectFailed: 0,
    lost: 0,
    gaveWay: 0,
    unproven: 0,
    brokenRules: 0,
    opened: 0,
    openFailed: 0,
    adapterLost: 0,
  };
}
