/** What a token permits, out of its `scope` claim and the permissions that the device was provisioned with. */
import { type CborValue, decodeCbor, isCborArray } from '../codec/cbor.ts';
import { COAP_METHOD } from '../codec/iana.ts';
import type { TrustFile } from '../codec/trust-file.ts';
import { fromUtf8 } from '../core/bytes.ts';
import { isCoded } from '../core/errors.ts';

/** Methods by path; a path is its segments joined by `/`, without a slash in front. */
export type Grants = ReadonlyMap<string, ReadonlySet<number>>;

export interface RecognisedScope {
  readonly grants: Grants;
  /** The scope as text, for people. */
  readonly text: string;
}

const METHODS = new Map<string, number>(Object.entries(COAP_METHOD));

/**
 * The grants of a `scope` claim, or undefined where any part of it is not known here (RFC 9200 §5.10.1.1: the RS must
 * recognise the value). The hub narrows a token's scope to what this device knows, so an unknown part means that one of
 * the two has an old idea of this device, and half a permission would hide that.
 */
export function recogniseScope(
  scope: string | Uint8Array | undefined,
  trust: Pick<TrustFile, 'scopeForm' | 'permissions'>,
): RecognisedScope | undefined {
  if (trust.scopeForm === 'text') return typeof scope === 'string' ? fromNames(scope, trust.permissions) : undefined;
  if (!(scope instanceof Uint8Array)) return undefined;
  try {
    return trust.scopeForm === 'bytes'
      ? fromNames(fromUtf8(scope), trust.permissions)
      : fromAif(decodeCbor(scope), trust.permissions);
  } catch (error) {
    // Not UTF-8, or not CBOR: an unknown scope.
    if (isCoded(error)) return undefined;
    throw error;
  }
}

function fromNames(text: string, permissions: TrustFile['permissions']): RecognisedScope | undefined {
  const grants = new Map<string, Set<number>>();
  for (const name of text.split(' ')) {
    const rows = Object.hasOwn(permissions, name) ? permissions[name] : undefined;
    if (rows === undefined) return undefined;
    for (const [path, methods] of rows) add(grants, path, methods.map(methodNumber));
  }
  return { grants, text };
}

/** RFC 9237 §2: `[[path, method set], …]`, bit (code − 1) for each CoAP method. Inside what this device knows at all. */
function fromAif(value: CborValue, permissions: TrustFile['permissions']): RecognisedScope | undefined {
  if (!isCborArray(value) || value.length === 0) return undefined;
  const known = everything(permissions);
  const grants = new Map<string, Set<number>>();
  const words: string[] = [];
  for (const row of value) {
    const [path, set] = isCborArray(row) && row.length === 2 ? row : [];
    if (typeof path !== 'string' || typeof set !== 'number' || !Number.isInteger(set) || set < 1 || set > 127) {
      return undefined;
    }
    const methods = [...METHODS].filter(([, method]) => (set & (1 << (method - 1))) !== 0);
    const allowed = known.get(normal(path));
    if (methods.some(([, method]) => allowed?.has(method) !== true)) return undefined;
    add(
      grants,
      path,
      methods.map(([, method]) => method),
    );
    words.push(`${normal(path)}:${methods.map(([name]) => name).join('+')}`);
  }
  return { grants, text: words.join(' ') };
}

function everything(permissions: TrustFile['permissions']): Grants {
  const all = new Map<string, Set<number>>();
  for (const rows of Object.values(permissions)) {
    for (const [path, methods] of rows) add(all, path, methods.map(methodNumber));
  }
  return all;
}

function add(grants: Map<string, Set<number>>, path: string, methods: readonly number[]): void {
  const set = grants.get(normal(path)) ?? new Set<number>();
  for (const method of methods) set.add(method);
  grants.set(normal(path), set);
}

function normal(path: string): string {
  return path.startsWith('/') ? path.slice(1) : path;
}

/** No request has method 0, so a name that the trust file should not have permits nothing. */
function methodNumber(name: string): number {
  return METHODS.get(name) ?? 0;
}
