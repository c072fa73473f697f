/**
 * The colours of pages, light and dark with the reader's system: Okabe and Ito's, darkened or lightened until each has a contrast of 4.5
 * on its ground. Five for series, in order; grey for all others, which dash and label tell apart.
 */
export const css = `:root { color-scheme: light dark; --page: #ffffff; --ink: #1a1c1f; --soft: #5a6068; --line: #d4d8dd; --fill: #f3f5f7;
  --series-1: #0072b2; --series-2: #b34e00; --series-3: #00785a; --series-4: #a34d7c; --series-5: #000000; --grey: #6b6f75; }
@media screen and (prefers-color-scheme: dark) {
  :root { --page: #15181c; --ink: #e8eaed; --soft: #a9b0b9; --line: #3a4048; --fill: #20252b;
    --series-1: #56b4e9; --series-2: #e69f00; --series-3: #1fc39a; --series-4: #f0e442; --series-5: #ffffff; --grey: #9aa0a8; }
}
`
