const PLAIN = /^[\x20-\x7e]*$/;
const PLAIN_TEXT = /^[\x20-\x7e\n]*$/;

/** Control characters (C1 too), direction marks and other format characters, line separators, halves of characters. */
const STEERING = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu;

/**
 * What others named (a kid, an id, an advertised name, the error text of a server), to be put into a line of the hub's own.
 * Whatever would begin a new line, steer a terminal or turn its direction is escaped as in a JSON string (RFC 8259 §7).
 */
export function printable(value: string): string {
  return PLAIN.test(value) ? value : value.replace(STEERING, escaped);
}

/**
 * A whole text of many lines, such as JSON or the output of a command. Its line ends stay, so what others named must have
 * passed `printable` before it became a part of the text.
 */
export function printableText(text: string): string {
  if (PLAIN_TEXT.test(text)) return text;
  return text.replace(STEERING, (character) => (character === '\n' ? character : escaped(character)));
}

function escaped(character: string): string {
  let text = '';
  for (let index = 0; index < character.length; index++) {
    text += `\\u${character.charCodeAt(index).toString(16).padStart(4, '0')}`;
  }
  return text;
}
