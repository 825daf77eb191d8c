/** A key as an answer shows it. Instants in milliseconds since 1970. */
export interface KeyTold {
  id: string
  /** The end of its life. */
  keepAliveBy: number
  lease: { fence: number; holder: string | null; expiresAt: number } | null
}

/** A lease as an answer shows it. */
export interface LeaseTold {
  keyId: string
  fence: number
  acquiredAt: number
  expiresAt: number
  keepAliveBy: number
}

/** What was asked for. */
export type Asked =
  | { verb: 'generate'; count: number }
  /**
   * `holder` is another for each caller who wants a lease; a retry has that of the first attempt, and its start in `began`.
   */
  | { verb: 'acquire'; holder: string; began: number; leaseMs: number }
  | { verb: 'read' | 'release'; keyId: string; fence: number }
  | { verb: 'renew'; keyId: string; fence: number; leaseMs: number }
  | { verb: 'look' | 'keepAlive' | 'delete'; keyId: string }
  | { verb: 'unblock'; keyId: string; fence: number | undefined }

/** An answer; its members are there where it tells them. */
export interface Told {
  status: number
  keys?: KeyTold[]
  lease?: LeaseTold
}

/** One call as the caller saw it. Instants in milliseconds since 1970, by a monotonic clock. */
export interface Call {
  start: number
  end: number
  asked: Asked
  /** 'unknown' where the answer was lost, or left open whether it was done. */
  answer: Told | 'unknown'
}

/** What a pool's policy is during a history. */
export interface Terms {
  leaseMs: number
  maxHoldMs: number
  keepAliveMs: number
}
