/** Who may read a page that this process serves: whoever has its token, from a browser that was sent here by nobody else. */
import { createHash, timingSafeEqual } from "node:crypto"

/** What a request says of itself. */
export interface Asked {
  readonly method: string
  readonly url: string
  readonly headers: { readonly [name: string]: string | undefined }
}

/** Why a request is turned away, or a token that came in the address and is to become a cookie. */
export type Verdict =
  | { readonly _tag: "Allowed" }
  | { readonly _tag: "Refused"; readonly status: number; readonly reason: string }
  | { readonly _tag: "Named"; readonly cookie: string; readonly location: string }

const same = (a: string, b: string): boolean => {
  const digest = (text: string) => createHash("sha256").update(text).digest()
  return timingSafeEqual(digest(a), digest(b))
}

const refused = (status: number, reason: string): Verdict => ({ _tag: "Refused", status, reason })

/**
 * Looks at a request. `hosts` are the names under which the page is served, with its port: another name in `Host` is a page elsewhere
 * whose address was made to lead here. The cookie's name has the port in it, since cookies are not kept apart by port.
 */
export const look = (
  { headers, method, url }: Asked,
  { hosts, port, token }: { readonly hosts: ReadonlyArray<string>; readonly port: number; readonly token: string }
): Verdict => {
  if (method !== "GET" && method !== "HEAD") return refused(405, "only GET: nothing can be changed from here")
  if (!hosts.includes(headers["host"] ?? "")) return refused(403, "this name is not one that the page is served under")
  const origin = headers["origin"]
  if (origin !== undefined && !hosts.some((host) => origin === `http://${host}`))
    return refused(403, "another page asked")
  if (headers["sec-fetch-site"] === "cross-site") return refused(403, "another page asked")
  const name = `tapweight-${port}`
  const parsed = new URL(url, "http://page")
  const given = parsed.searchParams.get("token")
  if (given !== null) {
    if (!same(given, token))
      return refused(403, "the token is not this page's: use the address that the command printed")
    parsed.searchParams.delete("token")
    return {
      _tag: "Named",
      cookie: `${name}=${token}; Path=/; HttpOnly; SameSite=Strict`,
      location: `${parsed.pathname}${parsed.search}`
    }
  }
  const cookies = (headers["cookie"] ?? "").split(/;\s*/).flatMap((pair) => {
    const [key, ...value] = pair.split("=")
    return key === name ? [value.join("=")] : []
  })
  return cookies.some((cookie) => same(cookie, token))
    ? { _tag: "Allowed" }
    : refused(401, "no token: use the address that the command printed")
}

/** Headers of every answer. */
export const headers = {
  "content-security-policy":
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  "x-content-type-options": "nosniff",
  "referrer-policy": "no-referrer",
  "cache-control": "no-store",
  "cross-origin-resource-policy": "same-origin"
} as const
