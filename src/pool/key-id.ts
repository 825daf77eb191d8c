import { hash } from 'node:crypto'

/** 22 characters of 6 bits: 132 bits of the hash. */
export const ID_LENGTH = 22

/** The public name of a key: the first 22 characters of base64url(SHA-256(key)). About half a microsecond. */
export function keyId(key: string): string {
  const digest = hash('sha256', key, 'base64url')
  const code = (i: number): number => digest.charCodeAt(i)
  // A copy: a slice of the 43 characters would keep all of them alive for as long as the id lives. Written out, since a
  // way through a buffer, or an array of arguments, takes longer than the rest of it.
  // prettier-ignore
  return String.fromCharCode(
    code(0), code(1), code(2), code(3), code(4), code(5), code(6), code(7), code(8), code(9), code(10),
    code(11), code(12), code(13), code(14), code(15), code(16), code(17), code(18), code(19), code(20), code(21)
  )
}

const SIX_BITS = new Uint8Array(128)
const BASE64URL = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
for (let value = 0; value < 64; value++) SIX_BITS[BASE64URL.charCodeAt(value)] = value

/**
 * 30 bits of an id, for a hash table. Ids are uniform, so these are. The first characters make the lowest bits, by which
 * a GrowingMap chooses a shard: ids that come in their order, as at a start, meet one shard for a while, in the cache.
 */
export function idBits(id: string): number {
  let bits = 0
  for (let i = 0; i < 5; i++) bits |= (SIX_BITS[id.charCodeAt(i) & 127] as number) << (6 * i)
  return bits
}
