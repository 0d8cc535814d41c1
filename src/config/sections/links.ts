/** Settings of the ways to devices: a serial line, and the radio. */
import * as z from 'zod/mini';
import { section, setting } from '../setting.ts';
import { linePath, milliseconds, name, radioAdapter, uuid, whole } from '../values.ts';

export const line = z.strictObject({
  name: setting(name, 'What devices call it: `latchkey devices add --line`.', 'ward-3'),
  path: setting(
    linePath,
    'Serial device, best by its stable name under /dev/serial/by-id, or tcp://host:port of a network serial server.',
    '/dev/serial/by-id/usb-FTDI_FT232R_A50285BI-if00-port0',
  ),
  baud_rate: setting(
    z._default(whole(300, 4_000_000), 115_200),
    'Speed of a serial device, 8N1. A network serial server has its own setting.',
  ),
  ack_timeout: setting(
    z.prefault(milliseconds({ min: '100ms', max: '60s' }), '2s'),
    'How long the first transmission of a message waits before it is repeated (ACK_TIMEOUT of RFC 7252 §4.8).',
  ),
});

export const ble = section('Devices that are reached by radio (Bluetooth Low Energy). Off unless `adapter` is set.', {
  adapter: setting(
    z.optional(radioAdapter),
    'The adapter: "auto" for the first one of the system, its name, or the path of a serial port that has a controller on it (H4). The hub needs it for itself.',
    'hci0',
  ),
  baud_rate: setting(z._default(whole(9_600, 4_000_000), 1_000_000), 'Speed of that serial port.'),
  connections: setting(
    z._default(whole(1, 20), 5),
    'Links at once, at most. An adapter that has room for less is noticed, and not asked for more.',
  ),
  scan_duty: setting(
    z._default(whole(5, 100), 50),
    'Part of the time, in percent, in which the hub listens for devices while nothing waits for any; else it listens all the time. What less costs: a device that shows up for a moment only may not be seen.',
  ),
  presence: setting(
    z.prefault(milliseconds({ min: '1s', max: '24h' }), '60s'),
    'How long a device counts as here after it was heard. Not less than it pauses between two advertisements.',
  ),
  linger: setting(
    z.prefault(milliseconds({ min: '0s', max: '10m' }), '2s'),
    'How long a link is kept after the last message, for what may follow. What more costs: the battery of the device, and room for others.',
  ),
  visit: setting(
    z.prefault(milliseconds({ min: '0s', max: '30d' }), '1h'),
    'How long after the last link a device that is here is connected without need, so that it can ask for the time, or about a token. "0s": never.',
  ),
  mtu: setting(
    z._default(whole(64, 517), 517),
    'Largest ATT message that devices are asked to take. Each answers with what it can, from 23 on.',
  ),
  connect_timeout: setting(
    z.prefault(milliseconds({ min: '1s', max: '2m' }), '10s'),
    'How long a device may take to be connected. Not less than it pauses between two advertisements.',
  ),
  operation_timeout: setting(
    z.prefault(milliseconds({ min: '500ms', max: '60s' }), '10s'),
    'How long one step on a link may take: finding the characteristics, a write, an acknowledgement. After it the link is given up.',
  ),
  service_uuid: setting(
    z.prefault(uuid, '8df804b7-3300-496d-9dfa-f8fb40a236bc'),
    'The GATT service of CoAP over GATT. Devices that were made by an older draft have another one.',
  ),
  downstream_uuid: setting(
    z.prefault(uuid, '8bf52767-5625-43ca-a678-70883a366866'),
    'Its characteristic that the hub writes.',
  ),
  upstream_uuid: setting(
    z.prefault(uuid, 'ab3720c8-7fc0-41f8-aa2a-9a45c2c01a4b'),
    'Its characteristic that the device indicates.',
  ),
});
