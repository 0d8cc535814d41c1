/** The curve equation of P-256 (SEC 2 §2.4.2): cheap enough to ask of every key in a token, unlike importing the key. */
const P = 0xffffffff00000001000000000000000000000000ffffffffffffffffffffffffn;
const B = 0x5ac635d8aa3a93e7b3ebbd55769886bc651d06b0cc53b0f63bce3c3e27d2604bn;

/**
 * Whether the affine point (x, y), both big-endian, lies on the curve: y² = x³ − 3x + b with x, y < p. The cofactor is 1,
 * so that is all a public key must satisfy. Public values only: the time depends on them.
 */
export function isOnP256(x: Uint8Array, y: Uint8Array): boolean {
  if (x.length !== 32 || y.length !== 32) return false;
  const a = unsigned(x);
  const b = unsigned(y);
  if (a >= P || b >= P) return false;
  return (b * b - (a * a - 3n) * a - B) % P === 0n;
}

function unsigned(bytes: Uint8Array): bigint {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return (
    (view.getBigUint64(0) << 192n) |
    (view.getBigUint64(8) << 128n) |
    (view.getBigUint64(16) << 64n) |
    view.getBigUint64(24)
  );
}
