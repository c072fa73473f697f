/** Text as XML can say it: most control characters and halves of characters it cannot, not even escaped. */
export const sayable = (text: string): string => text.replace(/\p{Cs}|(?![\t\n\r])[\p{Cc}\uFFFE\uFFFF]/gu, "\uFFFD")
