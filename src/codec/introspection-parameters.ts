/**
 * The parameters of an introspection request: RFC 7662 §2.1, RFC 9200 §5.9.1, and our own for the proof that a client
 * gave the device. One table for all wire forms, so that none of them can mean something else than another.
 */
import { base64url, equal, sha256 } from '../core/bytes.ts';
import { LatchkeyError } from '../core/errors.ts';
import type { IntrospectionQuestion, PresentedProof } from '../core/introspection.ts';
import { LIMITS } from '../core/limits.ts';
import { Secret } from '../core/secret.ts';
import { certificateDer } from './certificate.ts';
import { INTROSPECTION, INTROSPECTION_PRIVATE, LATCHKEY_WORDS } from './iana.ts';

/**
 * `text` and `bytes` are what they say (bytes are base64url where the form is text). `token` is text that travels as a
 * byte string in CBOR, `certificate` bytes that may be PEM where the form is text, `word` one of a few, a number in CBOR;
 * `hint` is looked at and passed over.
 */
type ParameterKind = 'text' | 'bytes' | 'token' | 'certificate' | 'word' | 'hint';

export interface Parameter {
  readonly label: number;
  readonly kind: ParameterKind;
  /** Bytes of the decoded value. */
  readonly least: number;
  readonly most: number;
  readonly words?: Readonly<Record<string, number>>;
}

const { session_key, session_key_format, proof } = LATCHKEY_WORDS;
const PROOF_TYPES = { dpop: proof.dpop, cose: proof.cose, x5t: proof.x5t };
const THUMBPRINT_BYTES = 32;

export const PARAMETERS = {
  token: { label: INTROSPECTION.token, kind: 'token', least: 1, most: LIMITS.jwtBytes },
  token_type_hint: { label: INTROSPECTION.token_type_hint, kind: 'hint', least: 1, most: 64 },
  proof_type: { label: INTROSPECTION_PRIVATE.proof_type, kind: 'word', least: 1, most: 16, words: PROOF_TYPES },
  dpop: { label: INTROSPECTION_PRIVATE.dpop, kind: 'text', least: 1, most: LIMITS.dpopProofBytes },
  htm: { label: INTROSPECTION_PRIVATE.htm, kind: 'text', least: 1, most: 32 },
  htu: { label: INTROSPECTION_PRIVATE.htu, kind: 'text', least: 1, most: LIMITS.proofUriBytes },
  dpop_nonce: { label: INTROSPECTION_PRIVATE.dpop_nonce, kind: 'text', least: 1, most: 256 },
  cose_proof: { label: INTROSPECTION_PRIVATE.cose_proof, kind: 'bytes', least: 1, most: LIMITS.coseProofBytes },
  nonce: { label: INTROSPECTION_PRIVATE.nonce, kind: 'bytes', least: 8, most: 64 },
  x5t_s256: {
    label: INTROSPECTION_PRIVATE.x5t_s256,
    kind: 'bytes',
    least: THUMBPRINT_BYTES,
    most: THUMBPRINT_BYTES,
  },
  certificate: {
    label: INTROSPECTION_PRIVATE.certificate,
    kind: 'certificate',
    least: 1,
    most: LIMITS.certificateBytes,
  },
  session_key: { label: INTROSPECTION_PRIVATE.session_key, kind: 'word', least: 1, most: 16, words: session_key },
  session_key_format: {
    label: INTROSPECTION_PRIVATE.session_key_format,
    kind: 'word',
    least: 1,
    most: 16,
    words: session_key_format,
  },
} as const satisfies Record<string, Parameter>;

export type ParameterName = keyof typeof PARAMETERS;
/** Decoded: `bytes` and `certificate` (DER) as bytes, the rest as text. */
export type ParameterValues = ReadonlyMap<ParameterName, string | Uint8Array>;

/** Parameters that belong to one proof type each. */
const OF_PROOF: Readonly<Record<string, readonly ParameterName[]>> = {
  dpop: ['dpop', 'htm', 'htu', 'dpop_nonce'],
  cose: ['cose_proof', 'nonce'],
  x5t: ['x5t_s256', 'certificate'],
};

/** RFC 6749 §A.12: an access token is VSCHAR, so visible ASCII and the space. */
const TOKEN = /^[\x20-\x7e]+$/;

export function isParameterName(name: string): name is ParameterName {
  return Object.hasOwn(PARAMETERS, name);
}

/**
 * A text or byte string as the parameter takes it.
 * @throws {LatchkeyError} `request_invalid`, naming the parameter and never its value
 */
export function checkedValue(name: ParameterName, value: string | Uint8Array): string | Uint8Array {
  const { kind, least, most, words }: Parameter = PARAMETERS[name];
  const length = typeof value === 'string' ? Buffer.byteLength(value) : value.length;
  if (length < least || length > most) throw invalid(name, 'of another size');
  if (kind === 'token' && !TOKEN.test(value as string))
    throw invalid(name, 'not an access token (RFC 6749 appendix A.12)');
  if (words !== undefined && !Object.hasOwn(words, value as string)) throw invalid(name, 'a word that is not known');
  return value;
}

/**
 * The question that the parameters put. A proof is all there, of one type, or not there at all: what is left over of
 * another one would mean that device and hub speak of different things.
 * @throws {LatchkeyError} `request_invalid`
 */
export function questionOf(values: ParameterValues): IntrospectionQuestion {
  const token = values.get('token');
  if (typeof token !== 'string') throw invalid('token', 'missing');
  const type = values.get('proof_type') as string | undefined;
  for (const [owner, names] of Object.entries(OF_PROOF)) {
    const foreign = owner === type ? undefined : names.find((name) => values.has(name));
    if (foreign !== undefined) throw invalid(foreign, `without proof_type ${owner}`);
  }
  const proof = proofOf(type, values);
  const wantsSessionKey = values.has('session_key');
  if (wantsSessionKey && proof === undefined) throw invalid('session_key', 'without a proof');
  const format = values.get('session_key_format');
  if (format !== undefined && !wantsSessionKey) throw invalid('session_key_format', 'without session_key');
  const clientFormat = (format as 'jose' | 'cose' | undefined) ?? (type === 'cose' ? 'cose' : 'jose');
  return { token: new Secret(token), proof, wantsSessionKey, clientFormat };
}

function proofOf(type: string | undefined, values: ParameterValues): PresentedProof | undefined {
  switch (type) {
    case 'dpop':
      return {
        kind: 'dpop',
        proof: new Secret(text(values, 'dpop')),
        method: text(values, 'htm'),
        uri: text(values, 'htu'),
        nonce: values.has('dpop_nonce') ? text(values, 'dpop_nonce') : undefined,
      };
    case 'cose':
      return { kind: 'cose', message: bytes(values, 'cose_proof'), nonce: bytes(values, 'nonce') };
    case 'x5t':
      return { kind: 'certificate', thumbprint: thumbprintOf(values) };
    default:
      return undefined;
  }
}

/** The hash, or the certificate that it is made from; both only if they say the same. */
function thumbprintOf(values: ParameterValues): Uint8Array {
  const certificate = values.get('certificate');
  const given = values.get('x5t_s256');
  if (!(certificate instanceof Uint8Array)) return bytes(values, 'x5t_s256');
  const thumbprint = sha256(certificateDer(certificate));
  if (given instanceof Uint8Array && !equal(given, thumbprint)) throw invalid('x5t_s256', 'not that of certificate');
  return thumbprint;
}

/** The parameters that put a question: what a device writes. */
export function parametersOf(question: IntrospectionQuestion): ParameterValues {
  const { proof, wantsSessionKey, clientFormat, token } = question;
  const values = new Map<ParameterName, string | Uint8Array>([['token', token.expose()]]);
  switch (proof?.kind) {
    case 'dpop':
      values.set('proof_type', 'dpop').set('dpop', proof.proof.expose()).set('htm', proof.method).set('htu', proof.uri);
      if (proof.nonce !== undefined) values.set('dpop_nonce', proof.nonce);
      break;
    case 'cose':
      values.set('proof_type', 'cose').set('cose_proof', proof.message).set('nonce', proof.nonce);
      break;
    case 'certificate':
      values.set('proof_type', 'x5t').set('x5t_s256', proof.thumbprint);
      break;
    case undefined:
      break;
  }
  if (wantsSessionKey) {
    values.set('session_key', 'new');
    if (clientFormat !== (proof?.kind === 'cose' ? 'cose' : 'jose')) values.set('session_key_format', clientFormat);
  }
  return values;
}

/** A value where the form is text. */
export function textForm(value: string | Uint8Array): string {
  return typeof value === 'string' ? value : base64url(value);
}

export function invalid(name: string, reason: string): LatchkeyError {
  return new LatchkeyError('request_invalid', `${name}: ${reason}`);
}

function text(values: ParameterValues, name: ParameterName): string {
  const value = values.get(name);
  if (typeof value !== 'string') throw invalid(name, 'missing');
  return value;
}

function bytes(values: ParameterValues, name: ParameterName): Uint8Array {
  const value = values.get(name);
  if (!(value instanceof Uint8Array)) throw invalid(name, 'missing');
  return value;
}
