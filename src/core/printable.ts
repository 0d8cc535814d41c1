const PLAIN = /^[\x20-\x7e\n]*$/;

/** Control characters (C1 too), direction marks and other format characters, line separators, halves of characters. */
const STEERING = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu;

/**
 * Text from outside without the characters that would steer a terminal or turn its direction. Line ends stay. They are
 * escaped as in a JSON string (RFC 8259 §7), so that JSON stays JSON.
 */
export function printable(text: string): string {
  if (PLAIN.test(text)) return text;
  return text.replace(STEERING, (character) => (character === '\n' ? character : escaped(character)));
}

function escaped(character: string): string {
  let text = '';
  for (let index = 0; index < character.length; index++) {
    text += `\\u${character.charCodeAt(index).toString(16).padStart(4, '0')}`;
  }
  return text;
}
