import { inspect } from 'node:util';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { crockfordCheck, decodeCrockford, encodeCrockford } from '../../src/codec/crockford.ts';
import { newSetupSecret, readSetupCode, setupCodeText, setupCodeToType } from '../../src/codec/setup-code.ts';
import { fromHex, hex } from '../../src/core/bytes.ts';
import { Secret } from '../../src/core/secret.ts';
import { codeOf } from '../fixtures/code-of.ts';

const SECRET = new Secret(fromHex('000102030405060708090a0b0c0d0e0f'));
const SYMBOLS = '00041061050R3GG28A1C60T3GF';
const TEXT = `latchkey:1?id=tube-1&s=${SYMBOLS}&c=${crockfordCheck(SECRET.expose())}`;

const secret = () => fc.uint8Array({ minLength: 16, maxLength: 16 });
const id = () => fc.stringMatching(/^[a-z0-9][a-z0-9._-]{0,62}$/);

describe('base 32 of Crockford', () => {
  it('writes numbers as its author does', () => {
    // 1234 is 16J with the check symbol D: the example of many implementations.
    expect(encodeCrockford(Uint8Array.of(0x04, 0xd2))).toBe('016J');
    expect(crockfordCheck(Uint8Array.of(0x04, 0xd2))).toBe('D');
  });

  it.each([
    [32, '*'],
    [33, '~'],
    [34, '$'],
    [35, '='],
    [36, 'U'],
    [37, '0'],
  ])('has a check symbol for the rest of %i', (number, symbol) => {
    expect(crockfordCheck(Uint8Array.of(number))).toBe(symbol);
  });

  it('reads what it wrote, of any length', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
        expect(decodeCrockford(encodeCrockford(bytes), bytes.length)).toEqual(bytes);
      }),
    );
  });

  it('refuses a number that is larger than its bytes', () => {
    expect(decodeCrockford('ZZ', 1)).toBeUndefined();
    expect(decodeCrockford('7Z', 1)).toEqual(Uint8Array.of(255));
  });
});

describe('a setup code', () => {
  it('reads from its QR text as it was written', () => {
    fc.assert(
      fc.property(id(), secret(), (name, bytes) => {
        const code = readSetupCode(setupCodeText(name, new Secret(bytes)).expose());
        expect(code.id).toBe(name);
        expect(hex(code.secret.expose())).toBe(hex(bytes));
      }),
    );
  });

  it('reads as it is typed: dashes and spaces anywhere, small letters, letters that look like figures', () => {
    fc.assert(
      fc.property(secret(), fc.infiniteStream(fc.constantFrom('', '-', ' ')), fc.boolean(), (bytes, marks, small) => {
        const typed = [...setupCodeToType(new Secret(bytes)).expose().replaceAll('-', '')]
          .map((symbol, index) => (index % 2 === 0 ? symbol : symbol.replace('1', 'l').replace('0', 'O')))
          .map((symbol) => `${symbol}${marks.next().value}`)
          .join('');
        const code = readSetupCode(small ? typed.toLowerCase() : typed);
        expect(code.id).toBeUndefined();
        expect(hex(code.secret.expose())).toBe(hex(bytes));
      }),
    );
  });

  it('has the one form that the label shows', () => {
    expect(setupCodeText('tube-1', SECRET).expose()).toBe(TEXT);
    expect(setupCodeToType(SECRET).expose()).toBe(`00041-06105-0R3GG-28A1C-60T3G-F${crockfordCheck(SECRET.expose())}`);
  });

  it('shows any one wrong symbol', () => {
    const typed = setupCodeToType(SECRET).expose().replaceAll('-', '');
    for (let at = 0; at < typed.length; at++) {
      for (const symbol of '0123456789ABCDEFGHJKMNPQRSTVWXYZ') {
        if (symbol === typed[at]) continue;
        const wrong = `${typed.slice(0, at)}${symbol}${typed.slice(at + 1)}`;
        expect(codeOf(() => readSetupCode(wrong))).toBe('setup_code_invalid');
      }
    }
  });

  it('shows any two neighbours that changed places', () => {
    fc.assert(
      fc.property(secret(), fc.nat(24), (bytes, at) => {
        const typed = setupCodeToType(new Secret(bytes)).expose().replaceAll('-', '');
        const wrong = `${typed.slice(0, at)}${typed[at + 1]}${typed[at]}${typed.slice(at + 2)}`;
        fc.pre(wrong !== typed);
        expect(codeOf(() => readSetupCode(wrong))).toBe('setup_code_invalid');
      }),
    );
  });

  it('is 128 bits of what is random', () => {
    const asked: number[] = [];
    newSetupSecret({ bytes: (length) => new Uint8Array(asked.push(length)) });
    expect(asked).toEqual([16]);
  });

  it('may name a profile, in any place', () => {
    const text = setupCodeText('tube-1', SECRET, 'tube').expose();
    expect(text).toBe(`${TEXT}&profile=tube`);
    expect(readSetupCode(text)).toMatchObject({ id: 'tube-1', profile: 'tube' });
    expect(
      readSetupCode(text.replace('id=tube-1', 'profile=lamp&id=tube-1').replace('&profile=tube', '')).profile,
    ).toBe('lamp');
    expect(readSetupCode(TEXT).profile).toBeUndefined();
    expect(codeOf(() => setupCodeText('tube-1', SECRET, 'Tube'))).toBe('device_invalid');
  });

  it('has room for the longest id and profile', () => {
    const text = setupCodeText('i'.repeat(63), SECRET, 'p'.repeat(32)).expose();
    expect(text).toHaveLength(151);
    expect(readSetupCode(text)).toMatchObject({ id: 'i'.repeat(63), profile: 'p'.repeat(32) });
  });

  it('does not print', () => {
    const code = readSetupCode(TEXT);
    for (const text of [inspect(code, { depth: 9, showHidden: true }), JSON.stringify(code), `${code.secret}`])
      expect(text).not.toMatch(/0, *1, *2|00041/);
    expect(String(setupCodeText('tube-1', SECRET))).toBe('[secret]');
  });
});

describe('a setup code is refused', () => {
  it.each([
    ['that is empty', ''],
    ['without its check symbol', SYMBOLS],
    ['of one symbol more', `${SYMBOLS}00`],
    ['of a number past 128 bits', `8${'0'.repeat(25)}0`],
    ['with U among its symbols', `U${SYMBOLS.slice(1)}0`],
    ['that begins as nothing does', `latchkey:2?${TEXT.slice(11)}`],
    ['without id', TEXT.replace('id=tube-1&', '')],
    ['with an id that is none', TEXT.replace('tube-1', 'Tube 1')],
    ['with a profile that is none', `${TEXT}&profile=Tube`],
    ['with a profile of no name', `${TEXT}&profile=`],
    ['with a profile that is too long', `${TEXT}&profile=${'p'.repeat(33)}`],
    ['with two profiles', `${TEXT}&profile=a&profile=b`],
    ['with two ids', `${TEXT}&id=tube-2`],
    ['without secret', TEXT.replace(/&s=[^&]*/, '')],
    ['without check symbol in its QR text', TEXT.replace(/&c=.*/, '')],
    ['with a member that nobody knows', `${TEXT}&x=1`],
    ['with a member without a value', `${TEXT}&x`],
    ['with a dash in its QR text', TEXT.replace('0004', '0-004')],
    ['that is very long', `${TEXT}${' '.repeat(200)}`],
  ])('%s', (_, text) => {
    expect(codeOf(() => readSetupCode(text))).toBe('setup_code_invalid');
  });

  it('whatever the noise', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        expect(codeOf(() => readSetupCode(text))).toBe('setup_code_invalid');
      }),
    );
  });

  it('without a word of it in the error', () => {
    try {
      readSetupCode(`${TEXT}&x=1`);
      expect.unreachable('it was read');
    } catch (error) {
      expect(inspect(error, { depth: 9 })).not.toContain(SYMBOLS.slice(0, 8));
    }
  });

  it('for an id that no device can have, before it is written', () => {
    expect(codeOf(() => setupCodeText('Tube 1', SECRET))).toBe('device_invalid');
  });
});
