/** Settings of the broker that connected devices ask over. */
import * as z from 'zod/mini';
import { section, setting } from '../setting.ts';
import { brokerUrl, filePath, flag, listenAddress, shortText, topicPrefix } from '../values.ts';

export const mqtt = section('MQTT 5.0, for connected devices. Off unless `url` or `embedded` is set.', {
  url: setting(
    z.optional(brokerUrl),
    'The broker. With mqtt:// beyond loopback this needs `unencrypted`.',
    'mqtts://broker.example:8883',
  ),
  username: setting(
    z.optional(shortText()),
    'The user that the hub is at the broker. Best one that no device can be called, such as "@hub".',
    '@hub',
  ),
  password_file: setting(z.optional(filePath), 'File that holds its password, and nothing else.', 'mqtt-password'),
  ca_file: setting(
    z.optional(filePath),
    'Certificate authority that signs the certificate of the broker, PEM, in place of those of the system.',
    'broker-ca.pem',
  ),
  cert_file: setting(
    z.optional(filePath),
    'Certificate of the hub for the broker, PEM. Together with `key_file`.',
    'mqtt-cert.pem',
  ),
  key_file: setting(z.optional(filePath), 'Private key of that certificate, PEM.', 'mqtt-key.pem'),
  client_id: setting(
    z._default(shortText(), 'latchkey-hub'),
    'What the broker knows the session of this hub by. Two hubs at one broker need two.',
  ),
  topic_prefix: setting(
    z._default(topicPrefix, 'latchkey/v1'),
    'Devices ask on <prefix>/<device>/introspect and are answered below <prefix>/<device>/.',
  ),
  json: setting(
    z._default(flag(), false),
    'Take requests in JSON, beside those that carry the MAC of the device. What it costs: each client that the broker lets write on the topic of a device asks as that device; config/mosquitto/acl has the rules.',
  ),
  unencrypted: setting(
    z._default(flag(), false),
    'Use a broker beyond loopback without TLS. What it costs: an attacker on the way reads the password of the hub, and the tokens.',
  ),
  embedded: setting(
    z._default(flag(), false),
    'Run a broker of the hub’s own, in place of `url`, in a process beside it. It keeps nothing on disk; devices log in with their id and their secret.',
  ),
  embedded_listen: setting(z.prefault(listenAddress, '127.0.0.1:1883'), 'Address and port of the embedded broker.'),
  embedded_exposed: setting(
    z._default(flag(), false),
    'Let the embedded broker listen beyond loopback. What it costs: it has no TLS, so an attacker on the network reads passwords of devices, and tokens.',
  ),
});
