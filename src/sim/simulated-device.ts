import { encodeCbor } from '../codec/cbor.ts';
import { codeText } from '../codec/coap/codes.ts';
import { makeCreationHints } from '../codec/creation-hints.ts';
import { COAP_CODE, COAP_METHOD, CONTENT_FORMAT } from '../codec/iana.ts';
import { makeAnswer, makeReceipt, readReceiptQuery, TOKEN_HASH_BYTES, tokenHash } from '../codec/signed-request.ts';
import { makeTrustAnswer } from '../codec/trust-bundle.ts';
import type { TrustFile } from '../codec/trust-file.ts';
import { base64url, EMPTY, utf8 } from '../core/bytes.ts';
import type { Clock, Random, TimeBounds } from '../core/clock.ts';
import type { CoapRequest, CoapResponse } from '../core/coap-exchange.ts';
import { coded } from '../core/errors.ts';
import { Challenges } from './challenges.ts';
import { ClientNonces } from './client-nonces.ts';
import { type DeviceEvent, methodName } from './device-event.ts';
import type { DeviceSetup } from './device-setup.ts';
import { BUNDLE_REFUSALS, type HeldTrust, judgeBundle } from './judge-bundle.ts';
import { judgeRequest, type ProvenClient, REQUEST_REFUSALS } from './judge-request.ts';
import { type JudgedToken, judgeToken, TOKEN_REFUSALS, type TokenRefusal, type Uptime } from './judge-token.ts';
import { linkFormat } from './link-format.ts';
import { Lamp, type Resource, Thermometer } from './resources.ts';
import { TokenSlots } from './token-slots.ts';

/** As many as a device with a few KiB of RAM keeps. */
const TOKEN_SLOTS = 8;

export interface SimulatedDeviceOptions {
  /** What it trusts once it was registered by hand, or how it is paired. */
  readonly trust: TrustFile | DeviceSetup;
  /** The trust map that it came in, where it came in one. */
  readonly heldPayload?: Uint8Array;
  readonly clock: Clock;
  /** False for a device that counts seconds and no more: its tokens need `exi`, and a `cnonce` that it gave. */
  readonly hasCalendar?: boolean;
  readonly random: Random;
  readonly onEvent?: (event: DeviceEvent) => void;
  /**
   * Keeps what is trusted from now on for after a restart, before the device says that it has it. Where it throws, nothing
   * changes.
   */
  readonly keepTrust?: (held: HeldTrust) => void;
  readonly slots?: number;
}

/**
 * The device of docs/protocol.md, "On the device", in memory: give `handler` to whatever carries CoAP. It trusts what is
 * in its trust file and nothing else, and forgets its tokens when it ends, as a device does that loses its power.
 */
export class SimulatedDevice {
  readonly thermometer = new Thermometer();
  readonly lamp = new Lamp();
  readonly #resources: ReadonlyMap<string, Resource> = new Map<string, Resource>([
    ['temperature', this.thermometer],
    ['led', this.lamp],
  ]);
  readonly #setup: DeviceSetup | undefined;
  /** Of a device that is not paired but was registered by hand. */
  #registered: HeldTrust | undefined;
  readonly #keepTrust: (held: HeldTrust) => void;
  /** NumericDate that is past for certain, by word of the hub. */
  #floor = 0;
  readonly #clock: Clock;
  readonly #slotCount: number;
  readonly #challenges: Challenges;
  #slots: TokenSlots;
  /** Of a device without a calendar. */
  readonly #clientNonces: ClientNonces | undefined;
  readonly #onEvent: (event: DeviceEvent) => void;
  #accepted = 0;

  constructor(options: SimulatedDeviceOptions) {
    const isPairable = 'memory' in options.trust;
    this.#setup = isPairable ? (options.trust as DeviceSetup) : undefined;
    this.#registered = isPairable ? undefined : { trust: options.trust as TrustFile, payload: options.heldPayload };
    this.#keepTrust = options.keepTrust ?? (() => undefined);
    this.#clock = options.clock;
    this.#slotCount = options.slots ?? TOKEN_SLOTS;
    this.#slots = new TokenSlots(this.#slotCount);
    this.#challenges = new Challenges({ clock: options.clock, random: options.random });
    this.#clientNonces =
      options.hasCalendar === false
        ? new ClientNonces({ uptime: () => this.#uptime(), random: options.random })
        : undefined;
    this.#onEvent = options.onEvent ?? (() => undefined);
    this.#floor = this.#setup?.memory.state.trust?.trust.time ?? 0;
  }

  /** Tokens that took effect since start: one that came twice counts once. */
  get acceptedTokens(): number {
    return this.#accepted;
  }

  /** Tokens held now. */
  tokens(): readonly JudgedToken[] {
    return this.#slots.list();
  }

  /** Version of what it trusts; 0 until it is paired. */
  get trustVersion(): number {
    return this.#trust?.version ?? 0;
  }

  /** Answers one request. Never rejects. */
  readonly handler = async (request: CoapRequest): Promise<CoapResponse> => {
    try {
      return await this.#answer(request);
    } catch (error) {
      this.#onEvent({ event: 'failed', error: coded(error).code });
      return bare(COAP_CODE.internalServerError);
    }
  };

  /** Undefined until it is paired. */
  get #held(): HeldTrust | undefined {
    return this.#setup === undefined ? this.#registered : this.#setup.memory.held;
  }

  get #trust(): TrustFile | undefined {
    return this.#held?.trust;
  }

  async #answer(request: CoapRequest): Promise<CoapResponse> {
    const path = request.path.join('/');
    switch (path) {
      case 'provision':
        return this.#changeHub((setup) => setup.provision(request));
      case 'unpair':
        return this.#changeHub((setup) => setup.unpair(request));
      case 'identify':
        return this.#setup === undefined ? bare(COAP_CODE.notFound) : this.#setup.identify(request);
      case 'authz-info':
        return request.method === COAP_METHOD.POST ? this.#takeToken(request) : bare(COAP_CODE.methodNotAllowed);
      case 'challenge':
        return request.method === COAP_METHOD.POST ? this.#challenge(request) : bare(COAP_CODE.methodNotAllowed);
      case 'trust':
        if (request.method !== COAP_METHOD.POST) return bare(COAP_CODE.methodNotAllowed);
        return this.#setup === undefined
          ? this.#takeTrust(request)
          : this.#setup.inTurn(() => this.#takeTrust(request));
      case 'status':
        return request.method === COAP_METHOD.GET ? this.#status() : bare(COAP_CODE.methodNotAllowed);
      case '.well-known/core':
        return request.method === COAP_METHOD.GET ? this.#directory() : bare(COAP_CODE.methodNotAllowed);
      default:
        return this.#serve(request, path);
    }
  }

  async #changeHub(change: (setup: DeviceSetup) => Promise<CoapResponse>): Promise<CoapResponse> {
    const setup = this.#setup;
    if (setup === undefined) return bare(COAP_CODE.notFound);
    const before = this.#trust;
    const answer = await change(setup);
    // Whatever hub it has now, the tokens are of the one before.
    if (this.#trust !== before) {
      this.#floor = Math.max(this.#floor, setup.memory.state.trust?.trust.time ?? 0);
      this.#slots = new TokenSlots(this.#slotCount);
      this.#challenges.keepOnly(new Set());
    }
    return answer;
  }

  #takeToken(request: CoapRequest): CoapResponse {
    const trust = this.#trust;
    const token = request.payload ?? EMPTY;
    const query = request.query ?? [];
    const nonce = readReceiptQuery(query);
    if (query.length > 0 && nonce === undefined) return bare(COAP_CODE.badOption);
    if (request.contentFormat !== CONTENT_FORMAT.cwt) return this.#refuseToken('format_unsupported', token, nonce);
    if (trust === undefined) return this.#refuseToken('not_paired', token, nonce);
    const verdict = judgeToken(token, trust, this.#now(), this.#byUptime());
    if (verdict.kind === 'refused') return this.#refuseToken(verdict.reason, token, nonce);
    this.#slots.forgetExpired(this.#present() ?? this.#now().earliest);
    const outcome = this.#slots.put(verdict.token);
    if (outcome === 'expired') return this.#refuseToken('expired', token, nonce);
    if (outcome === 'full') return this.#refuseToken('slots_full', token, nonce);
    this.#challenges.keepOnly(new Set(this.#slots.list().map(({ identity }) => identity)));
    if (outcome === 'stored') this.#accepted += 1;
    this.#onEvent({
      event: outcome === 'stored' ? 'token_accepted' : 'token_known',
      token: base64url(verdict.token.hash),
      scope: verdict.token.scope,
      expiresAt: verdict.token.expiresAt,
      bytes: token.length,
    });
    return receipt(trust, verdict.token.hash, nonce);
  }

  /** A MAC authenticates a refusal to a peer that asked for a receipt: by radio any peer could refuse. It says nothing of why. */
  #refuseToken(reason: TokenRefusal, token: Uint8Array, nonce: Uint8Array | undefined): CoapResponse {
    const code = TOKEN_REFUSALS[reason];
    this.#onEvent({ event: 'token_refused', reason, code: codeText(code), bytes: token.length });
    const trust = this.#trust;
    if (trust === undefined || trust.receipt === 'none' || nonce === undefined) return bare(code);
    const { answerKey: key, audience } = trust;
    const payload = makeReceipt({ key, tokenHash: tokenHash(token), audience, nonce, refusal: code });
    return { code, contentFormat: CONTENT_FORMAT.coseMac0, payload };
  }

  /** All of a bundle or nothing, and only upward. */
  async #takeTrust(request: CoapRequest): Promise<CoapResponse> {
    const bundle = request.payload ?? EMPTY;
    if (request.query !== undefined && request.query.length > 0) return bare(COAP_CODE.badOption);
    const held = this.#held;
    const verdict =
      held === undefined
        ? ({ kind: 'refused', reason: 'not_taken' } as const)
        : judgeBundle(bundle, request.contentFormat, held);
    const bytes = bundle.length;
    if (held === undefined || verdict.kind === 'refused') {
      const reason = verdict.kind === 'refused' ? verdict.reason : 'not_taken';
      const code = BUNDLE_REFUSALS[reason];
      this.#onEvent({ event: 'trust_refused', reason, code: codeText(code), bytes });
      // Under the key of the device: a hub that lost count finds it again, and believes no stranger's refusal.
      return held === undefined ? bare(code) : trustAnswer(held.trust, code, bundle);
    }
    if (verdict.kind === 'taken') {
      await this.#keep(verdict.held);
      this.#floor = Math.max(this.#floor, verdict.time ?? 0);
    }
    const now = verdict.kind === 'taken' ? verdict.held : held;
    const event = verdict.kind === 'taken' ? 'trust_taken' : 'trust_known';
    this.#onEvent({ event, version: now.trust.version, bytes });
    return trustAnswer(now.trust, COAP_CODE.changed, bundle);
  }

  async #keep(held: HeldTrust): Promise<void> {
    if (this.#setup !== undefined) return this.#setup.memory.keepBundle(held.payload ?? EMPTY);
    this.#keepTrust(held);
    this.#registered = held;
  }

  #challenge(request: CoapRequest): CoapResponse {
    const named = request.payload ?? EMPTY;
    const latest = this.#present();
    const token =
      latest === undefined || named.length !== TOKEN_HASH_BYTES ? undefined : this.#slots.find(named, latest);
    if (token === undefined) {
      const code = named.length === TOKEN_HASH_BYTES ? COAP_CODE.unauthorized : COAP_CODE.badRequest;
      this.#onEvent({ event: 'challenge_refused', code: codeText(code) });
      return this.#refuseStranger(code);
    }
    this.#onEvent({ event: 'challenge_given', token: base64url(named) });
    const payload = this.#challenges.issue(token.identity);
    return { code: COAP_CODE.created, contentFormat: CONTENT_FORMAT.octetStream, payload };
  }

  #status(): CoapResponse {
    const trust = this.#trust;
    const now = this.#now();
    this.#slots.forgetExpired(this.#present() ?? now.earliest);
    const status = new Map<string, string | number | boolean>([
      ...(trust === undefined ? [] : [['aud', trust.audience] as const]),
      ['time', this.#clientNonces === undefined && now.latest !== undefined],
      ['trust', trust?.version ?? 0],
      ['tokens', this.#slots.list().length],
    ]);
    return { code: COAP_CODE.content, contentFormat: CONTENT_FORMAT.cbor, payload: encodeCbor(status) };
  }

  #directory(): CoapResponse {
    // RFC 6690 §4.1: a server without filtering answers a query with everything.
    const payload = utf8(linkFormat(this.#resources));
    return { code: COAP_CODE.content, contentFormat: CONTENT_FORMAT.linkFormat, payload };
  }

  #serve(request: CoapRequest, path: string): CoapResponse {
    const resource = this.#resources.get(path);
    const event = { method: methodName(request.method), path };
    if (resource === undefined) {
      const code = codeText(COAP_CODE.notFound);
      this.#onEvent({ event: 'request_refused', reason: 'not_found', ...event, code });
      return bare(COAP_CODE.notFound);
    }
    const trust = this.#trust;
    if (trust === undefined) {
      const code = codeText(COAP_CODE.unauthorized);
      this.#onEvent({ event: 'request_refused', reason: 'not_paired', ...event, code });
      return bare(COAP_CODE.unauthorized);
    }
    const verdict = judgeRequest(request, {
      audience: trust.audience,
      slots: this.#slots,
      challenges: this.#challenges,
      latest: this.#present(),
    });
    if (verdict.kind === 'refused') {
      const code = REQUEST_REFUSALS[verdict.reason];
      this.#onEvent({ event: 'request_refused', reason: verdict.reason, ...event, code: codeText(code) });
      return verdict.client === undefined ? this.#refuseStranger(code) : seal(trust, bare(code), verdict.client);
    }
    const answer = resource.serve({
      method: request.method,
      payload: verdict.payload,
      contentFormat: verdict.contentFormat,
    });
    const token = base64url(verdict.client.tokenHash);
    this.#onEvent({ event: 'request_served', token, ...event, code: codeText(answer.code) });
    return seal(trust, answer, verdict.client);
  }

  /** What a bundle said of the time is only that it is past: it may have been held back on its way. */
  #now(): TimeBounds {
    const { earliest, latest } = this.#clock.now();
    return {
      earliest: Math.max(earliest, this.#floor),
      latest: latest === undefined ? undefined : Math.max(latest, this.#floor),
    };
  }

  /** The present on the scale that the ends of its tokens are on; undefined while the time is not known. */
  #present(): number | undefined {
    return this.#clientNonces === undefined ? this.#now().latest : this.#uptime();
  }

  #uptime(): number {
    return Math.floor(this.#clock.monotonic() / 1_000);
  }

  #byUptime(): Uptime | undefined {
    const nonces = this.#clientNonces;
    return nonces === undefined ? undefined : { seconds: this.#uptime(), givenAt: (cnonce) => nonces.givenAt(cnonce) };
  }

  /** A client that has no good token is told how to come by one, where that takes a nonce of this device (RFC 9200 §5.3). */
  #refuseStranger(code: number): CoapResponse {
    const trust = this.#trust;
    if (trust === undefined || this.#clientNonces === undefined || code !== COAP_CODE.unauthorized) return bare(code);
    const { audience, issuer } = trust;
    const payload = makeCreationHints({ as: issuer, audience, cnonce: this.#clientNonces.issue() });
    return { code, contentFormat: CONTENT_FORMAT.aceCbor, payload };
  }
}

/**
 * 2.01 with a MAC over the token's hash, by which the hub knows that this device took it and no other on the line. It is for
 * a peer that asked for one, and only for this once: its nonce is the hub's.
 */
function receipt(trust: TrustFile, tokenHash: Uint8Array, nonce: Uint8Array | undefined): CoapResponse {
  if (trust.receipt === 'none' || nonce === undefined) return bare(COAP_CODE.created);
  const payload = makeReceipt({ key: trust.answerKey, tokenHash, audience: trust.audience, nonce });
  return { code: COAP_CODE.created, contentFormat: CONTENT_FORMAT.coseMac0, payload };
}

/** Which version is held, under the device's key. */
function trustAnswer({ answerKey: key, device, version }: TrustFile, code: number, bundle: Uint8Array): CoapResponse {
  const payload = makeTrustAnswer({ key, device, code, bundle, version });
  return { code, contentFormat: CONTENT_FORMAT.coseMac0, payload };
}

/** The answer under the device's key, bound to the client's nonce. Refusals too: their code says what a token permits. */
function seal(trust: TrustFile, answer: CoapResponse, client: ProvenClient): CoapResponse {
  const payload = makeAnswer({
    payload: answer.payload,
    key: trust.answerKey,
    request: client.request,
    audience: trust.audience,
    code: answer.code,
    ...(answer.contentFormat === undefined ? {} : { contentFormat: answer.contentFormat }),
  });
  return { code: answer.code, contentFormat: CONTENT_FORMAT.coseMac0, payload };
}

function bare(code: number): CoapResponse {
  return { code, payload: EMPTY };
}
