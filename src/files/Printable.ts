/** Text from data and files as a terminal may print it. */

/**
 * What does not stand for itself on a terminal: control characters, which move the cursor, colour or erase what is there;
 * those that end a line or turn its direction; byte order marks, which are not seen; halves of characters.
 */
const unprintable = /[\p{Cc}\p{Cs}\p{Zl}\p{Zp}\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]/gu

const codeOf = (character: string): string => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`

/** A name or a value out of data, in one line: what a terminal would obey is written as `\u001b`. */
export const inline = (text: string): string => text.replace(unprintable, codeOf)

/** Lines of our own that may quote data: as {@link inline}, but for the ends of lines. */
export const lines = (text: string): string => text.split("\n").map(inline).join("\n")
