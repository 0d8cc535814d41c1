const DEFAULT_PORT = { 'mqtts:': 8_883, 'mqtt:': 1_883 } as const;

/** Host, port and whether with TLS, of an address as `mqtt.url` has it: `mqtts://broker.example:8883`. */
export function parseBrokerUrl(url: string): {
  readonly host: string;
  readonly port: number;
  readonly secure: boolean;
} {
  const { hostname, port, protocol } = new URL(url);
  const secure = protocol === 'mqtts:';
  return {
    host: hostname.replace(/^\[|\]$/g, ''),
    port: port === '' ? DEFAULT_PORT[secure ? 'mqtts:' : 'mqtt:'] : Number(port),
    secure,
  };
}
