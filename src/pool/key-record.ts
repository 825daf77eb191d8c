export type KeyState = 'free' | 'leased' | 'cooling'
export const KEY_STATES: readonly KeyState[] = ['free', 'leased', 'cooling']

/** Where a state stands in KEY_STATES. */
export function stateNumber(state: KeyState): number {
  return state === 'free' ? 0 : state === 'leased' ? 1 : 2
}

export type Metadata = Readonly<Record<string, string>>

/** Everything that lasts about a living key. Instants are milliseconds since 1970, lengths milliseconds. */
export interface KeyRecord {
  /** The secret. */
  key: string
  /** The how manieth key of its pool this is. */
  serial: number
  createdAt: number
  /** 0: not activated. */
  activatedAt: number
  /** The end of its life unless it is kept alive; Infinity where it does not age. */
  keepAliveBy: number
  /** As it was left: a lease or a cooling whose `until` has passed since is over. */
  state: KeyState
  /** When the lease or the cooling ends; for a free key, when the last one ended (0: never leased). */
  until: number
  /** When the present or the last lease began; 0: never leased. */
  acquiredAt: number
  /** The fence of the present lease, or of the last one where its holder released it; otherwise 0. */
  fence: number
  /** How long the lease was asked for, or how long the key cools. */
  holdMs: number
  /** Of the present lease. */
  holder: string | undefined
  /** Of the present lease, or of the last one for as long as its fence is known. */
  owner: string | undefined
  metadata: Metadata | undefined
}

/** What lasts about a retired key, besides its id: the place in the key space that stays taken, see KeySpace. */
export interface RetiredRecord {
  place: number
}
