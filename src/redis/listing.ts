import type { Engine, KeyView } from '../engine.ts'
import { KEY_STATES, type KeyState } from '../pool/key-record.ts'
import type { ListRequest } from '../pool/key-pool.ts'
import type { PoolScripts } from './pool-scripts.ts'
import { readKeys, readRefusal } from './replies.ts'

const CURSOR = /^(all|one)\.(free|leased|cooling)\.(\d{1,16})$/

/**
 * A page of a walk over the keys by their serials, which they keep, one state after the other where all are asked for: a
 * key that keeps its state is met.
 */
export async function listPage(
  scripts: PoolScripts,
  { state, limit, cursor }: ListRequest
): Promise<Awaited<ReturnType<Engine['list']>>> {
  const scope = state === undefined ? 'all' : 'one'
  let place: { state: KeyState; after: number } | undefined = { state: state ?? 'free', after: 0 }
  if (cursor !== undefined) {
    const parts = CURSOR.exec(Buffer.from(cursor, 'base64url').toString('latin1'))
    if (parts === null || parts[1] !== scope || (state !== undefined && parts[2] !== state)) {
      return { refusal: 'bad-cursor' }
    }
    place = { state: parts[2] as KeyState, after: Number(parts[3]) }
  }
  const keys: KeyView[] = []
  while (place !== undefined && keys.length < limit) {
    const { state: present, after }: { state: KeyState; after: number } = place
    const wanted = limit - keys.length
    const reply = await scripts.untilCaughtUp(() => scripts.run('list', KEY_STATES.indexOf(present), after, wanted))
    if (reply[0] !== 'listed') return readRefusal(reply)
    const page = readKeys(reply)
    keys.push(...page)
    if (page.length === wanted) {
      place = { state: present, after: page.at(-1)?.serial as number }
    } else {
      const next: KeyState | undefined = KEY_STATES[KEY_STATES.indexOf(present) + 1]
      place = scope === 'all' && next !== undefined ? { state: next, after: 0 } : undefined
    }
  }
  return { keys, nextCursor: place === undefined ? null : formatCursor(scope, place.state, place.after) }
}

function formatCursor(scope: string, state: KeyState, after: number): string {
  return Buffer.from(`${scope}.${state}.${after}`, 'latin1').toString('base64url')
}
