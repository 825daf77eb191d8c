/** What a pool does with its keys. Lengths are milliseconds. */
export interface Policy {
  /** The longest a lease lasts, and how long it lasts where the caller names no length: 100 … 86,400,000. */
  leaseMs: number
  /** The longest a lease may be held with renewals: leaseMs … 31,536,000,000, or null for leaseMs. */
  maxHoldMs: number | null
  /** How long a key lives without a keep-alive: 100 … 31,536,000,000, or null where keys do not age. */
  keepAliveMs: number | null
  /** What generated keys are made of: 2 … 94 distinct visible ASCII characters. */
  alphabet: string
  /** How many characters of the alphabet a generated key has: 1 … 128. */
  length: number
  /** What generated keys begin with: 0 … 64 visible ASCII characters. */
  prefix: string
  /** Whether a deleted key may be generated or imported again. */
  reuseDeleted: boolean
  /** The most keys that live at once: 1 … 16,000,000. */
  maxKeys: number
}

export const DEFAULT_POLICY: Readonly<Policy> = Object.freeze({
  leaseMs: 60_000,
  maxHoldMs: null,
  keepAliveMs: 300_000,
  alphabet: 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789',
  length: 20,
  prefix: '',
  reuseDeleted: true,
  maxKeys: 10_000_000
})

export const MIN_LEASE_MS = 100
export const MAX_LEASE_MS = 86_400_000
export const MIN_KEEP_ALIVE_MS = 100
export const MAX_LENGTH_MS = 31_536_000_000
export const MAX_KEYS = 16_000_000
export const MAX_COOLDOWN_MS = 86_400_000
export const MAX_KEY_LENGTH = 512
export const MAX_GENERATED_LENGTH = 128

export const ALPHABET_PATTERN = '^[!-~]{2,94}$'
export const PREFIX_PATTERN = '^[!-~]{0,64}$'
export const KEY_PATTERN = '^[!-~]{1,512}$'

const alphabetPattern = new RegExp(ALPHABET_PATTERN)
const prefixPattern = new RegExp(PREFIX_PATTERN)
const keyPattern = new RegExp(KEY_PATTERN)

/** The longest hold that the policy allows from the moment of the grant, in milliseconds. */
export function longestHold(policy: Readonly<Policy>): number {
  return policy.maxHoldMs ?? policy.leaseMs
}

/**
 * Throws a RangeError that names each member that is unknown, of a wrong type or out of its range. `maxHoldMs` below
 * `leaseMs` is left to the caller.
 */
export function assertPolicy(policy: Readonly<Policy>): void {
  const wrong = Object.keys(policy)
    .filter(name => !Object.hasOwn(DEFAULT_POLICY, name))
    .map(name => `${JSON.stringify(name)} is no member of a policy`)
  const integer = (name: keyof Policy, value: number, min: number, max: number): void => {
    if (!Number.isInteger(value) || value < min || value > max)
      wrong.push(`${name} must be an integer of ${min} … ${max}`)
  }
  integer('leaseMs', policy.leaseMs, MIN_LEASE_MS, MAX_LEASE_MS)
  if (policy.maxHoldMs !== null) integer('maxHoldMs', policy.maxHoldMs, MIN_LEASE_MS, MAX_LENGTH_MS)
  if (policy.keepAliveMs !== null) integer('keepAliveMs', policy.keepAliveMs, MIN_KEEP_ALIVE_MS, MAX_LENGTH_MS)
  integer('length', policy.length, 1, MAX_GENERATED_LENGTH)
  integer('maxKeys', policy.maxKeys, 1, MAX_KEYS)
  if (!isAlphabet(policy.alphabet)) wrong.push('alphabet must be 2 … 94 distinct visible ASCII characters')
  if (typeof policy.prefix !== 'string' || !prefixPattern.test(policy.prefix))
    wrong.push('prefix must be 0 … 64 visible ASCII characters')
  if (typeof policy.reuseDeleted !== 'boolean') wrong.push('reuseDeleted must be true or false')
  if (wrong.length > 0) throw new RangeError(wrong.join('; '))
}

/** Whether a string may be an alphabet: 2 … 94 distinct visible ASCII characters. */
export function isAlphabet(alphabet: string): boolean {
  return typeof alphabet === 'string' && alphabetPattern.test(alphabet) && new Set(alphabet).size === alphabet.length
}

/** Whether a string may be imported as a key: 1 … 512 visible ASCII characters. */
export function isKey(key: string): boolean {
  return typeof key === 'string' && keyPattern.test(key)
}
