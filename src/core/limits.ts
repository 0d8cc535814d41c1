/** Every limit on what a peer can make the hub do, in one place, each with its reason. Sizes are bytes, times milliseconds. */
export const LIMITS = {
  /** RFC 9068 tokens are 0.5 to 2 KiB; 16 KiB holds any that Keycloak or Entra make with group lists. */
  jwtBytes: 16_384,
  /** A DPoP proof is about 500 bytes; an RSA key in its header brings it to 1.5 KiB. */
  dpopProofBytes: 4_096,
  /** A client-nonce of a device without a clock (RFC 9200 §5.3.1); ours has 12, and it travels in every token. */
  clientNonceBytes: 64,
  /** A relayed COSE proof: a signature of 64 bytes, a key of 77, and its headers. */
  coseProofBytes: 512,
  /** A JWE inside `cnf`: it holds one symmetric JWK, 500 bytes with the largest ephemeral key. */
  jweBytes: 4_096,
  /** Encrypted tokens that are decrypted at the same time. They need two of the four threads of libuv; the others are for the store. */
  decryptionsAtOnce: 2,
  /** Encrypted tokens that wait for that: a fifth of a second of work on a small board. */
  decryptionsWaiting: 64,
  /** Of both, those of one network or device. */
  decryptionsPerPeer: 16,
  /** Depth of JSON nesting: enough for authorization_details, too little to hurt. */
  jsonDepth: 16,
  /** Members and elements of one JSON text: a JWK Set of 64 keys has 700, a token with 200 groups 230. */
  jsonItems: 1_024,
  /** Deepest CBOR nesting that is looked at; a CWT with cnf and nested wraps needs 8. */
  cborDepth: 16,
  /** Largest CBOR item from outside: four times the largest token that any device takes. */
  cborBytes: 65_536,
  /** Data items in one CBOR encoding: a token holds about 30. 1,024 empty maps already take 256 KiB once decoded. */
  cborItems: 1_024,
  /** Entries of one CBOR map, which bounds the search for a key that comes twice. */
  cborMapEntries: 256,
  /** A JWK Set; Entra's is 15 KiB. */
  jwksBytes: 262_144,
  /** Keys that one issuer may publish before the set is refused. */
  jwksKeys: 64,
  /** Characters of a published key's `kid`: thumbprints have 43, Entra's 27, Keycloak's 43. They come back in logs. */
  keyIdLength: 128,
  /** AS metadata document (RFC 8414); Keycloak's is 7 KiB. */
  metadataBytes: 262_144,
  /** An introspection answer, signed or not: as large as a JWT that says the same. */
  introspectionAnswerBytes: 16_384,
  /** Introspection requests under way or waiting for a connection, of one issuer: at 32 connections a few seconds of work. */
  introspectionsAtOnce: 4_096,
  /** Of them, those that one device set off: as many as a few clients can be, and 64 devices do not fill it. */
  introspectionsPerDevice: 64,
  /** Opaque tokens whose issuer the hub remembers, for each device that they were good for: 200 bytes each. */
  tokenIssuers: 8_192,
  /** Memory for the answers that one issuer gave, as reckoned from their sizes: about 15,000 of 500 bytes. */
  verdictBytes: 33_554_432,
  /** Value of a GATT attribute: Bluetooth Core 5.2, volume 3, part F §3.2.9. */
  gattValueBytes: 512,
  /** Messages that wait on one connection for the peer's acknowledgement: its requests under way, their refusals, and ours. */
  gattWaiting: 16,
  /** Unregistered names that the hub remembers while a pairing window is open; the one heard longest ago gives way to a new one. */
  bleNames: 1_024,
  /** A message of the radio's process to the hub: the largest brings a value, or the name of a device. */
  radioMessageBytes: 8_192,
  /** Messages of it that the hub reads in a row, before its other work has a turn: 3 ms. */
  radioMessagesAtOnce: 256,
  /** A message of the hub to it: the largest names all addresses that are of interest. */
  radioOrderBytes: 262_144,
  /** Addresses in such a message: eight of each of a thousand names. */
  radioAddresses: 8_192,
  /** Text in such a message, and a line that the process writes: a sentence or two. */
  radioTextLength: 512,
  /** Memory for the objects of that process, in MiB: it works with 10, and one that is led into gathering ends. */
  radioHeapMegabytes: 64,
  /**
   * A message between the hub and another process of it, in either direction: the largest is a login at the embedded broker, 3 KiB with
   * every character escaped.
   */
  childMessageBytes: 8_192,
  /** Bytes of messages that wait for any process of the hub: eight of the largest orders to the radio. One that takes none of them ends. */
  childWaitingBytes: 2_097_152,
  /** Rules of the gate that are told of at once; there are about a hundred. */
  radioBrokenRules: 32,
  /** Requests of one peer over one link by radio, which serves nothing: a phone looks with some dozens for what there is. */
  bleStrayRequests: 64,
  /**
   * Addresses that the hub remembers for one name. At 100 new addresses a second of an attacker, a device that advertises every
   * two seconds is heard again before it is forgotten.
   */
  bleAddressesPerName: 256,
  /** Addresses that the hub remembers for all names together, 200 bytes each; names share it equally. */
  bleAddresses: 8_192,
  /** Least share of one name: the device, its next random address, and a few impostors. */
  bleAddressesPerNameLeast: 8,
  /** Milliseconds that an address is remembered for that is not heard any more: random ones change every 15 minutes. */
  bleMemory: 900_000,
  /** Whole CoAP message on a line, after SLIP is undone: RFC 7252 §4.6 assumes 1152, block options bring the rest. */
  coapMessageBytes: 1_280,
  /** A body put together from blocks (Block1/Block2): as large as the largest token that a profile allows. */
  coapBodyBytes: 16_384,
  /** One slipmux frame as received, before a frame is given up as noise: twice the message (all bytes escaped) plus framing. */
  slipFrameBytes: 2_608,
  /** Bytes that wait to leave on one line, 6 s of it at 115200 baud; a device that makes us answer faster than it reads loses the answers. */
  lineWriteBytes: 65_536,
  /** Bytes that one line brings in within 100 ms before it is made to wait: 1.3 Mbit/s, more than a UART is used at. */
  lineReadBytes: 16_384,
  /** Diagnostic texts of one line that go to the log in a minute; a chatty device must not wear the card out. */
  diagnosticsPerMinute: 60,
  /** Diagnostic text of one slipmux frame that goes to the log: a few lines of a terminal. */
  diagnosticBytes: 512,
  /** Options of one CoAP message; a path of 16 segments with as many query parts needs 40. */
  coapOptions: 64,
  /** Requests of one device that the hub works on at once; a device that waits for answers sends one. */
  coapHandlers: 4,
  /** Longest pairing window: time for one device at a slow pace, too little to be forgotten open. Seconds. */
  pairingWindowSeconds: 900,
  /** Wrong setup codes after which a window closes: mistakes of a person, not guesses at 128 bits. */
  pairingAttempts: 5,
  /** Candidates that a window shows: the strongest of a crowded room. */
  pairingCandidates: 64,
  /** A line that an operator types, or pastes. */
  terminalLineLength: 4_096,
  /** Text of a setup code: the longest QR text has 151 characters, a typed code with a dash behind each symbol 54. */
  setupCodeLength: 160,
  /** All that a device trusts, as one CBOR map: 1 KiB with 8 keys; two pages of flash for one with many scopes. */
  deviceTrustBytes: 8_192,
  /** Profiles of devices whose check is remembered while the registry is read: a ward has a dozen kinds of device. */
  profilesRead: 64,
  /** Public keys whose check is remembered: sixteen full sets of one issuer's keys, 300 bytes each. */
  publicKeysRead: 256,
  /** Version of it: 32 bits, as a small device counts; one an hour would last half a million years. */
  deviceTrustVersion: 0xffff_ffff,
  /** Hub keys that a device trusts at once: the one in use, the next, and what a device that was away still has. */
  trustedHubKeys: 8,
  /** Signing keys of the hub that are kept beside the current two, for devices that were away: eight rotations. */
  olderHubKeys: 16,
  /** Issuers that a device trusts, and keys of each: Keycloak and Entra publish 2 to 6. */
  trustedIssuers: 8,
  trustedIssuerKeys: 16,
  /** An issuer's address on a device; Entra's, with the tenant in it, has 70 bytes. */
  trustedIssuerBytes: 255,
  /** Scopes that a device knows, rows of path and methods for each, and a path: what fits `deviceTrustBytes`. */
  deviceScopes: 64,
  permissionRows: 32,
  permissionPathBytes: 255,
  /** Largest COSE message that a proxy request may carry; no other request northbound has a body. */
  proxyBodyBytes: 8_192,
  /** What a refused sender may still send before its connection is closed on it: it is read and dropped. */
  httpDroppedBytes: 65_536,
  /** Request body on the admin socket: a device with 64 scopes and their permissions. */
  adminBodyBytes: 65_536,
  /** Connections northbound, 40 KiB of headers and body each: 10 MiB. A hub has some dozens of clients. */
  httpConnections: 256,
  /**
   * Of them, those of one IPv4 address, IPv6 /64, or IPv6 address on a link of the hub: a building behind one NAT works, one host cannot
   * shut out others. All addresses of one link of the hub, or of one private IPv4 /24, have a half together: one host there can take
   * as many as it likes. A home has all of its clients on one link, and some dozens of them.
   */
  httpConnectionsPerNetwork: 64,
  /** Of them, those that wait for events: half, so that there is always room for requests. */
  eventStreams: 128,
  /** Of them, those about one delivery: its client, its retries, and a few screens. */
  eventStreamsPerDelivery: 8,
  /** Request bodies that are read or worked on, of all peers: one of 32 KiB on each connection. A network has a quarter. */
  httpBodyBytes: 8_388_608,
  /** Reads that the body of a request may take: so many, and one more for this many bytes. A read of one byte is work too. */
  httpBodyFragments: 64,
  httpBodyFragmentBytes: 64,
  /** Connections on the admin socket, apart from the others: an operator gets through while they are flooded. */
  adminConnections: 32,
  /** Requests under way on one connection. HTTP clients send one. With one more the connection ends. */
  requestsPerConnection: 8,
  /** HTTP headers northbound: a JWT of full size and a proof must fit. */
  httpHeaderBytes: 32_768,
  /** Body of an introspection request: a token of full size with a proof, percent-encoded where it needs to be. */
  introspectionRequestBytes: 32_768,
  /** Parameters of an introspection request; there are 13, and unknown ones are passed over (RFC 6749 §3.2). */
  introspectionParameters: 32,
  /** Address that a client's DPoP proof is for, as the device knows it. */
  proofUriBytes: 2_048,
  /** Client certificate that a device hands on, DER. */
  certificateBytes: 8_192,
  /** Memory for protected answers that are kept for requests that come twice: 16,000 of 500 bytes. */
  deviceAnswerBytes: 8_388_608,
  /** Protected questions that are known again, with or without their answer, 200 bytes each: 546 a second, all the time. */
  deviceQuestions: 65_536,
  /** Of them, those of one device: 34 a second, all the time. */
  deviceQuestionsPerDevice: 4_096,
  /** One MQTT packet that a broker may bring: a request of full size with its topic and properties. */
  brokerPacketBytes: 65_536,
  /** Bytes that wait to leave for a broker; answers that promise nothing (QoS 0) are lost beyond it. */
  brokerWriteBytes: 1_048_576,
  /** Correlation data of an MQTT request (MQTT 5.0 §3.3.2.3.6): a UUID as text has 36 bytes. */
  correlationBytes: 64,
  /** Requests over MQTT that wait for a verdict at once; more of QoS 0 are dropped, more of QoS 1 stay with the broker. */
  brokerRequests: 512,
  /** Of them, those of one device: a device that waits for answers has a few. More of QoS 1 are refused at once. */
  brokerRequestsPerDevice: 32,
  /**
   * Answers that wait for room with the broker. mosquitto 2.0.11 brings more than the hub's Receive Maximum once it has
   * a backlog, up to its `max_queued_messages`, which is 20,000 in our example.
   */
  brokerWaitingMessages: 32_768,
  /** Connections to the embedded broker: it is for small sites. */
  embeddedConnections: 1_024,
  /** Of them, those of one network, as above: a ward whose devices share a network works, one host takes a quarter. */
  embeddedConnectionsPerNetwork: 256,
  /** Of them, those of one link, where most sites have all of their devices. The rest is for other networks and for the hub itself. */
  embeddedConnectionsPerLink: 896,
  /**
   * Logins of one device at the embedded broker in a second, with its password: it needs one after each loss of its connection. A login
   * costs the broker's process 1.4 ms, of which the hub's comparison of the secret is 7 µs: so one device takes a tenth of a core at most.
   */
  embeddedLoginsOfOneDevice: 64,
  /** Failed logins of one network in a second, after which no login from there is taken until the second is over. */
  embeddedFailedLoginsPerSecond: 32,
  /** Logins that the embedded broker asks the hub about in a second: after a restart all devices connect at once. */
  embeddedLoginsPerSecond: 1_024,
  /** Characters of a user name, and of a password, that go from the embedded broker to the hub: ids have 64, secrets 43. */
  embeddedLoginLength: 256,
  /** A CONNECT to the embedded broker, which any peer may send: a device's id and secret have 64 and 43 bytes, a will 1 KiB. */
  embeddedConnectBytes: 4_096,
  /** A last will at the embedded broker, payload and properties: it waits in memory for as long as the connection lives. */
  embeddedWillBytes: 1_024,
  /** Filters in one packet to the embedded broker. A connection may listen to 16. */
  embeddedFiltersPerPacket: 32,
  /** Questions of QoS 1 that the embedded broker holds for the hub: eight times what the hub works on. */
  embeddedHeldMessages: 4_096,
  /** Of them, those of one device: eight times what the hub works on for one. */
  embeddedHeldOfOneDevice: 256,
  /** Bytes of all of them: 500 of the largest packets. */
  embeddedHeldBytes: 33_554_432,
  /** Memory for answers over MQTT that are kept for requests that come twice: 10,000 of 800 bytes. */
  brokerAnswerBytes: 8_388_608,
  /** Messages of one peer remembered for CoAP deduplication (EXCHANGE_LIFETIME at a slow serial line). */
  coapExchanges: 64,
  /** DPoP proof identifiers remembered for replay: 300 s of proofs at 200 a second. */
  replayEntries: 65_536,
  /** Of these, what one client key may take, or one token without a key: a request every 1.2 s, all the time. */
  replayEntriesPerKey: 256,
  /** The same for proofs that devices relay, where one client may visit a whole ward: 27 a second, all the time. */
  relayedProofsPerKey: 4_096,
  /** The same for all proofs that one device brings, which may have as many clients as it likes: 16 devices fill it. */
  relayedProofsPerDevice: 4_096,
  /** The same for one token without a key, which costs one proof before it is bound: a sixteenth of what its device may take. */
  relayedProofsPerToken: 256,
  /** Tokens that are bound to their first presenter at once, 300 bytes each: 200 clients with 80 living tokens. */
  tokenBindings: 16_384,
  /** Of them, those of one issuer: two issuers fill it. */
  tokenBindingsPerIssuer: 8_192,
  /** Of them, those of one subject at one client: a service that has a token for each of a thousand devices. Eight fill the share of an issuer. */
  tokenBindingsPerHolder: 1_024,
  /** Of tokens without a subject, those of one key at one client: all users of that client are one holder, and one of them has a quarter. */
  tokenBindingsPerPresenter: 256,
  /** Deliveries waiting for one device and kept overall, unless configured: a device away for a month must not fill the card. */
  deliveriesPerDevice: 64,
  deliveriesOverall: 8_192,
  /**
   * Ended deliveries kept for one device to be asked about: its own oldest go first. Tokens that were delivered and are alive,
   * and ends of the last minute, are kept beyond this, up to half of `delivery.max_overall`.
   */
  endedPerDevice: 128,
  /** Milliseconds for which every end is kept: a client that was told "queued" asks by then what became of it. */
  endedKeptFor: 60_000,
  /** Deliveries whose token was delivered again since, kept for as long in memory alone: 17 a second, all the time. */
  deliveriesReplaced: 1_024,
  /** Verdicts that wait while the store takes no audit records: half a minute of 10,000 devices asking once a minute. */
  auditWaiting: 8_192,
  /** Part of the audit that one device can take in a day, for each kind and verdict: a 64th is one question a minute. */
  auditQuotas: 64,
  /** And at least so many records, where the audit is small. */
  auditQuotaLeast: 64,
  /** Bytes of an audit record, by which `audit.max_size` is reckoned for that: config/latchkey.toml says the same. */
  auditRecordBytes: 400,
  /** Subjects that are named in the status for one condition: more are counted. The lines of a large hub fit. */
  conditionsOfOneCode: 64,
  /** Devices in one answer on the admin socket, and what so many trust: 5 ms of work. */
  devicesAnswered: 128,
  /** Bytes of one page of a list on the admin socket: a quarter of what a command takes. */
  adminPageBytes: 1_048_576,
  /** Deliveries in one answer on the admin socket, 700 bytes each. */
  deliveriesAnswered: 1_024,
  /** Audit records in one answer on the admin socket, 500 bytes each. */
  auditAnswerRecords: 1_024,
  /** One line of an exported audit: a record, or a signed introspection answer. */
  auditLineBytes: 65_536,
  /** Requests on one device's line at once; the line is slow, so a queue only hides that it is full. */
  requestsPerDevice: 8,
} as const;
