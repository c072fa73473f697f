import { existsSync } from "node:fs"
import { type Browser, chromium, type Page } from "playwright-core"
import { source as axe } from "axe-core"

/** Chromium as the system has it. */
const executable = [
  process.env["CHROMIUM"],
  "/usr/bin/chromium",
  "/usr/bin/chromium-browser",
  "/usr/bin/google-chrome"
].find((path) => path !== undefined && existsSync(path))

/** Why tests in a browser are left out; undefined where they are not. */
export const absent =
  executable === undefined ? "no Chromium here: apt-get install chromium, or name one in CHROMIUM" : undefined

export const launch = (): Promise<Browser> =>
  chromium.launch({ executablePath: executable!, args: ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"] })

/** What a page did that it should not: errors, and requests to another place. */
export const watched = (page: Page, origin: string): { readonly faults: Array<string> } => {
  const faults: Array<string> = []
  page.on("console", (message) => {
    // The browser's own word for a connection that this test cuts.
    if (message.type() === "error" && !/ERR_|Failed to load resource/.test(message.text())) faults.push(message.text())
  })
  page.on("pageerror", (error) => faults.push(error.message))
  page.on("dialog", (dialog) => {
    faults.push(`dialog ${dialog.message()}`)
    void dialog.dismiss()
  })
  page.on("request", (request) => {
    if (!request.url().startsWith(origin) && !request.url().startsWith("data:")) faults.push(`request ${request.url()}`)
  })
  return { faults }
}

/** Serious findings of axe, each with where it is. */
export const serious = async (page: Page): Promise<ReadonlyArray<string>> => {
  await page.evaluate(axe)
  const { violations } = await page.evaluate("axe.run()").then(
    (found) =>
      found as {
        violations: ReadonlyArray<{
          id: string
          impact: string
          nodes: ReadonlyArray<{ html: string; failureSummary: string }>
        }>
      }
  )
  return violations
    .filter(({ impact }) => impact === "serious" || impact === "critical")
    .flatMap(({ id, nodes }) =>
      nodes.map(({ failureSummary, html }) => `${id}: ${html.slice(0, 200)} ${failureSummary}`)
    )
}
