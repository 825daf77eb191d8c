import type { FastifyInstance, FastifyRequest } from 'fastify'
import { forbid } from './access.ts'

const LOOPBACK_HOST = /^(localhost|127(\.\d{1,3}){3}|\[::1\])(:\d{1,5})?$/i

/**
 * Keeps out the pages of other sites, where there are no tokens: whoever reaches the server may do everything then, and a
 * page in a browser on the same machine reaches it. No answer allows another origin to read it; what is left is
 *
 * - DNS rebinding: a page makes its own name point to 127.0.0.1 and is of the same origin then. Its requests still have
 *   that name in Host, so a server that is meant for its own machine answers to no name but the machine's own. 403, not
 *   421: the request is whole, and would be right under another name.
 * - requests that change something and whose answer the page needs not read. Browsers mark them with Sec-Fetch-Site, or
 *   with Origin, as Go's CrossOriginProtection (net/http) checks them. What is no browser sends neither. A GET, which
 *   changes something in the dialects, has no Origin, and Sec-Fetch-Site only under TLS or to a loopback address; then
 *   there is Referer, which a page may leave out: the README says so.
 */
export function guardAgainstBrowsers(app: FastifyInstance, onlyThisMachine: boolean): void {
  app.addHook('onRequest', (request, reply, done) => {
    const { host, origin, referer, 'sec-fetch-site': site } = request.headers
    // Every browser sends one.
    if (onlyThisMachine && host !== undefined && !LOOPBACK_HOST.test(host)) {
      forbid(reply, 'The server answers only to names of its own machine, such as localhost, in the header Host.')
    } else if ((site ?? origin ?? referer) !== undefined && isFromAnotherSite(request)) {
      forbid(reply, 'A page of another site may change nothing here.')
    } else done()
  })
}

function isFromAnotherSite({ headers, routeOptions }: FastifyRequest): boolean {
  const { host, origin, referer, 'sec-fetch-site': site } = headers
  if (routeOptions.config.need?.changes !== true) return false
  if (site !== undefined) return site !== 'same-origin' && site !== 'none'
  const from = (origin ?? referer)?.replace(/^https?:\/\//, '')
  // Of a Referer there is more than the host.
  return from?.replace(/\/.*/s, '') !== host
}
