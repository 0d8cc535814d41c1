/**
 * Points of small order on edwards25519, as Ed25519 public keys (RFC 8032 §5.1.2). A signature under such a key proves
 * nothing: with R the identity and S = 0 it verifies for every message, or for one message in two, four or eight.
 * OpenSSL accepts these keys.
 *
 * The list is the one that libsodium refuses (`ge25519_has_small_order` in ed25519_ref10.c): the y of the eight points of
 * order 1, 2, 4 and 8, and what is at or above p = 2^255 − 19 and stands for the same y. With either sign bit these are
 * the eight canonical and six other encodings of C2SP/CCTV, ed25519/README.md.
 */

const SIGN_BIT = 0x80;

/** y, little-endian, in hexadecimal. The sign of x is in the highest bit of the last byte, and left out here. */
const SMALL_ORDER: ReadonlySet<string> = new Set([
  // 0, order 4
  '0000000000000000000000000000000000000000000000000000000000000000',
  // 1, the identity
  '0100000000000000000000000000000000000000000000000000000000000000',
  // order 8
  '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05',
  'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a',
  // p − 1, order 2
  'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  // p, again 0
  'edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  // p + 1, again 1
  'eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
]);

/** @param publicKey 32 bytes, as RFC 8032 §5.1.2 encodes a point */
export function isOfSmallOrder(publicKey: Uint8Array): boolean {
  return SMALL_ORDER.has(yOf(publicKey));
}

/**
 * The same on edwards448 (RFC 8032 §5.2): the y of the four points of order 1, 2 and 4, and what is at or above
 * p = 2^448 − 2^224 − 1 and stands for the same y.
 */
const SMALL_ORDER_448: ReadonlySet<string> = new Set([
  // 0, order 4
  '00'.repeat(57),
  // 1, the identity
  `01${'00'.repeat(56)}`,
  // p − 1, order 2
  `fe${'ff'.repeat(27)}fe${'ff'.repeat(27)}00`,
  // p, again 0
  `${'ff'.repeat(28)}fe${'ff'.repeat(27)}00`,
  // p + 1, again 1
  `${'00'.repeat(28)}${'ff'.repeat(28)}00`,
]);

/** @param publicKey 57 bytes, as RFC 8032 §5.2.2 encodes a point */
export function isOfSmallOrder448(publicKey: Uint8Array): boolean {
  return SMALL_ORDER_448.has(yOf(publicKey));
}

function yOf(publicKey: Uint8Array): string {
  const y = Buffer.from(publicKey);
  const last = y.length - 1;
  y[last] = (y[last] ?? 0) & ~SIGN_BIT;
  return y.toString('hex');
}
