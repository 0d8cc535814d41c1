/** Settings of the hub itself: its fronts, its clock, its log, its queue, its record. */
import * as z from 'zod/mini';
import { LIMITS } from '../../core/limits.ts';
import { section, setting } from '../setting.ts';
import { bytes, filePath, flag, identifierUrl, listenAddress, milliseconds, oneOf, seconds, whole } from '../values.ts';

export const http = section('The API for clients.', {
  listen: setting(
    z.prefault(listenAddress, '127.0.0.1:8430'),
    'Address and port. Port 0 lets the system choose. Beyond loopback this needs TLS, or `behind_proxy`.',
  ),
  public_url: setting(
    z.optional(identifierUrl),
    'The address by which clients know the hub, if it is not that of `listen`: behind a proxy, or where `listen` is a wildcard. DPoP proofs are made for it.',
    'https://hub.example',
  ),
  tls_cert_file: setting(z.optional(filePath), 'Certificate chain, PEM. Together with `tls_key_file`.', 'hub-cert.pem'),
  tls_key_file: setting(z.optional(filePath), 'Private key of the certificate, PEM.', 'hub-key.pem'),
  behind_proxy: setting(
    z._default(flag(), false),
    'Listen beyond loopback without TLS, because a proxy in front has it. What it costs: an attacker who reaches this port past the proxy reads the tokens.',
  ),
});

export const admin = section('The socket for `latchkey status`, `latchkey devices` and `latchkey audit`.', {
  socket: setting(
    z.optional(filePath),
    'Path of the unix socket. Default: admin.sock in $RUNTIME_DIRECTORY, else in `state_dir`.',
    '/run/latchkey/admin.sock',
  ),
});

export const log = section('JSON lines on standard output.', {
  level: setting(z._default(oneOf(['debug', 'info', 'warn', 'error']), 'info'), 'The least important lines to write.'),
});

export const clock = section('What the hub believes about the time.', {
  trust: setting(
    z._default(oneOf(['auto', 'system', 'never']), 'auto'),
    '`auto`: the system clock counts once NTP has set it; `system`: it always counts (a machine with a battery clock); `never`: only signed times count.',
  ),
  when_unsure: setting(
    z._default(oneOf(['deny', 'allow']), 'deny'),
    'What becomes of a token that may or may not be expired. What `allow` costs: after a boot without NTP expired tokens are accepted.',
  ),
});

export const delivery = section('Tokens on their way to devices.', {
  wait: setting(
    z.prefault(milliseconds({ min: '0s', max: '60s' }), '5s'),
    'How long the request of a client waits for the device before it is answered with 202.',
  ),
  attempt_timeout: setting(
    z.prefault(milliseconds({ min: '1s', max: '10m' }), '30s'),
    'How long one attempt waits for the answer of the device.',
  ),
  retry_max: setting(
    z.prefault(milliseconds({ min: '1s', max: '24h' }), '10m'),
    'Longest pause between two attempts. A device that shows up is tried at once, whatever the pause.',
  ),
  max_per_device: setting(
    z._default(whole(1, 1_024), LIMITS.deliveriesPerDevice),
    'Tokens that wait for one device at most; a client that brings more is refused with `delivery_queue_full`.',
  ),
  max_overall: setting(
    z._default(whole(16, 65_536), LIMITS.deliveriesOverall),
    'Deliveries that are kept at most, ended ones too. Each takes about 1 KiB on the medium and in memory.',
  ),
});

export const dpop = section('Proofs of possession by clients (RFC 9449). Every proof carries a nonce of the hub.', {
  window: setting(
    z.prefault(seconds({ min: '5s', max: '5m' }), '60s'),
    'How far `iat` of a proof may be from the time of the hub, either way.',
  ),
});

export const trust = section('What devices are given to trust: keys of issuers, and of the hub.', {
  warn_after: setting(
    z.prefault(seconds({ min: '1m', max: '365d' }), '7d'),
    'How long a device may wait for a change of what it trusts before `latchkey status` says so.',
  ),
});

export const audit = section(
  'The record of every verdict: `latchkey audit`. What goes past a limit is dropped, the oldest first. What one device causes past its quota is summed up.',
  {
    max_records: setting(z._default(whole(1_024, 1_000_000), 100_000), 'Records that are kept at most.'),
    max_size: setting(
      z.prefault(bytes({ min: '1MiB', max: '4GiB' }), '48MiB'),
      'Room for records on disk; one takes about 400 bytes.',
    ),
    max_evidence: setting(
      z.prefault(bytes({ min: '0KiB', max: '4GiB' }), '16MiB'),
      'Room for signed answers of authorization servers (RFC 9701) beside the records. They hold what the server says of people; with "0KiB" only their hashes are kept.',
    ),
    retention: setting(
      z.prefault(seconds({ min: '1d', max: '3650d' }), '365d'),
      'How long records are kept, where there is room.',
    ),
    flush_interval: setting(
      z.prefault(milliseconds({ min: '100ms', max: '1h' }), '1s'),
      'How often new records are put on the medium, if there are any. What more costs: a power cut takes the records of as long along.',
    ),
  },
);
