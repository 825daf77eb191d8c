import { hash, timingSafeEqual } from 'node:crypto'
import type { Bearer, Bearers } from './bearer.ts'

/** How many hexadecimal digits of a hash the index has: enough that tokens do not meet there by chance. */
const INDEX_DIGITS = 16

/** A token as it is kept: only its hash. */
export interface Token {
  bearer: Bearer
  /** SHA-256 of the token, in lower-case hexadecimal. */
  sha256: string
}

/**
 * The tokens that are known. A token is searched by the beginning of its hash, and compared by the whole of it in constant
 * time: how long an answer takes tells nothing about a hash, let alone about a token. Nothing that was presented is kept.
 */
export class TokenList implements Bearers {
  readonly size: number
  readonly #byBeginning = new Map<string, { bearer: Bearer; digest: Buffer }[]>()

  constructor(tokens: readonly Token[]) {
    this.size = tokens.length
    for (const { bearer, sha256 } of tokens) {
      const beginning = sha256.slice(0, INDEX_DIGITS)
      const met = this.#byBeginning.get(beginning) ?? []
      this.#byBeginning.set(beginning, [...met, { bearer, digest: Buffer.from(sha256, 'hex') }])
    }
  }

  bearerOf(token: string): Bearer | undefined {
    const sha256 = hash('sha256', token, 'hex')
    const met = this.#byBeginning.get(sha256.slice(0, INDEX_DIGITS))
    if (met === undefined) return undefined
    const given = Buffer.from(sha256, 'hex')
    return met.find(({ digest }) => timingSafeEqual(digest, given))?.bearer
  }
}
