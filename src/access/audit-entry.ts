/** A change, or one that was refused, or a secret that was shown or tried. Never a key. */
export interface AuditEntry {
  /** The name of the token, null without one. */
  token: string | null
  /** Whose connection it was: the address of a client, or of the proxy before it. */
  remote: string | null
  /** Null in a sum: see RepeatedEntries. So are the pool, the id and the request. */
  verb: string | null
  /** Null where the caller named one of which the server knows nothing: it may be a secret. The same holds for the id. */
  pool: string | null
  id: string | null
  fence: number | null
  /** `ok`, or the code of the problem. */
  outcome: string
  requestId: string | null
  /** In a sum: how many times more. */
  times?: number
}
