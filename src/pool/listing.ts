import { checkInteger, checkOptionalString } from './arguments.ts'
import { KEY_STATES, type KeyState, stateNumber } from './key-record.ts'
import type { PoolState } from './pool-state.ts'
import { viewKeyAt } from './slot-views.ts'
import type { KeyView } from './views.ts'

export interface ListRequest {
  /** Only the keys in this state. */
  state?: KeyState | undefined
  /** How many positions to look at, at most. */
  limit: number
  /** The last page's `nextCursor`. */
  cursor?: string | undefined
}

/** Where a walk over the keys goes on: below a position among the keys in a state; over the other states then, or not. */
export interface Cursor {
  scope: 'all' | 'one'
  state: KeyState
  below: number
}

const CURSOR = /^(all|one)\.(free|leased|cooling)\.(\d{1,8})$/

export function formatCursor({ scope, state, below }: Cursor): string {
  return Buffer.from(`${scope}.${state}.${below}`, 'latin1').toString('base64url')
}

/** Undefined for a string that is no cursor. */
export function parseCursor(text: string): Cursor | undefined {
  const parts = CURSOR.exec(Buffer.from(text, 'base64url').toString('latin1'))
  return parts === null
    ? undefined
    : { scope: parts[1] as Cursor['scope'], state: parts[2] as KeyState, below: Number(parts[3]) }
}

/** See KeyPool.list. */
export function listKeys(
  pool: PoolState,
  { state, limit, cursor }: ListRequest
): { keys: KeyView[]; nextCursor: string | null } | 'bad-cursor' | 'behind' {
  checkInteger('limit', limit, 1)
  checkOptionalString('cursor', cursor)
  if (state !== undefined && !KEY_STATES.includes(state))
    throw new RangeError(`state must be one of ${KEY_STATES.join(', ')}, or absent`)
  const { ring, deadlines } = pool
  const now = pool.begin()
  const scope = state === undefined ? 'all' : 'one'
  let next: Cursor | undefined = { scope, state: state ?? 'free', below: Infinity }
  if (cursor !== undefined) {
    next = parseCursor(cursor)
    if (next === undefined || next.scope !== scope || next.state !== (state ?? next.state)) return 'bad-cursor'
  }
  if (deadlines.isBehind(now)) return 'behind'
  const keys: KeyView[] = []
  while (next !== undefined && keys.length < limit) {
    const below = Math.min(next.below, ring.count(next.state))
    if (below > 0) {
      keys.push(viewKeyAt(ring, ring.at(next.state, below - 1), now, false))
      next = { ...next, below: below - 1 }
    } else {
      const following: KeyState | undefined = KEY_STATES[stateNumber(next.state) + 1]
      next = scope === 'all' && following !== undefined ? { scope, state: following, below: Infinity } : undefined
    }
  }
  const nextCursor = next && formatCursor({ ...next, below: Math.min(next.below, ring.count(next.state)) })
  return { keys, nextCursor: nextCursor ?? null }
}
