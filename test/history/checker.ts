import { Grants, type Grant } from './grants.ts'
import type { Asked, Call, LeaseTold, Terms, Told } from './history.ts'
import { KeyModel, type KeyOp } from './key-model.ts'
import { search } from './search.ts'

/** How many calls of a key are shown around the one that no order explains. */
const SHOWN = { before: 14, after: 6 }

export interface Violation {
  what: string
  keyId: string
  /** The calls of that key, shortened, one a line. */
  history: string[]
}

/** What one key's calls say, and those of its calls whose answers were lost. */
interface KeyHistory {
  ops: KeyOp[]
  lost: Call[]
}

/**
 * Whether the answers of a pool are those of keys to which one thing happens after the other, each within its call; and
 * whether the fences grow. `marginMs`: how far the callers' clock and the server's may be apart.
 */
export function check(calls: readonly Call[], terms: Terms, marginMs: number): Violation[] {
  const byEnd = [...calls].sort((a, b) => a.end - b.end)
  const grants = new Grants(byEnd, marginMs)
  const lostSince = { acquire: firstLost(calls, 'acquire'), generate: firstLost(calls, 'generate') }
  const histories = historiesOf(byEnd, grants)
  const show = (keyId: string, around = Infinity): string[] => shown(histories.get(keyId)?.ops ?? [], around)

  const violations: Violation[] = grants.wrong.map(({ what, keyId }) => ({ what, keyId, history: show(keyId) }))
  for (const { asked, answer } of byEnd) {
    if (answer === 'unknown' || isExpected(asked, answer)) continue
    const keyId = 'keyId' in asked ? asked.keyId : ''
    violations.push({ what: `${asked.verb} was answered with ${answer.status}`, keyId, history: show(keyId) })
  }
  for (const [keyId, { ops, lost }] of histories) {
    ops.sort((a, b) => a.start - b.start)
    const isBirthKnown = ops.some(op => op.says === 'generated')
    const model = new KeyModel(terms, { ...lostSince, ...(isBirthKnown && { generate: Infinity }) }, marginMs)
    const { verdict, explained } = search(model, ops, lost)
    if (verdict === 'explained') continue
    const what = verdict === 'wrong' ? 'no order explains the answers' : 'the calls are too many at once to be judged'
    violations.push({ what, keyId, history: show(keyId, explained) })
  }
  return violations
}

function firstLost(calls: readonly Call[], verb: Asked['verb']): number {
  return calls.reduce(
    (first, { asked, answer, start }) => (answer === 'unknown' && asked.verb === verb ? Math.min(first, start) : first),
    Infinity
  )
}

/** By key. */
function historiesOf(calls: readonly Call[], grants: Grants): Map<string, KeyHistory> {
  const histories = new Map<string, KeyHistory>()
  const of = (keyId: string): KeyHistory => {
    const history = histories.get(keyId) ?? { ops: [], lost: [] }
    histories.set(keyId, history)
    return history
  }
  for (const grant of grants.all.values()) of(grant.keyId).ops.push(grantOf(grant))
  for (const { before, after } of grants.repeated()) {
    const { start, end, call } = after
    of(before.keyId).ops.push({ start, end, call, says: 'lost', fence: before.fence })
  }
  for (const call of calls) {
    if (call.answer !== 'unknown') for (const [keyId, op] of opsOf(call, grants)) of(keyId).ops.push(op)
    else if ('keyId' in call.asked) of(call.asked.keyId).lost.push(call)
  }
  return histories
}

function grantOf({ start, end, fence, expiresAt, keepAliveBy, call }: Grant): KeyOp {
  return { start, end, call, says: 'granted', fence, expiresAt, keepAliveBy }
}

const EXPECTED: Record<Asked['verb'], readonly number[]> = {
  generate: [201],
  acquire: [201, 404],
  read: [200, 410],
  renew: [200, 409, 410],
  release: [204, 410],
  look: [200, 404],
  keepAlive: [200, 404],
  delete: [204, 404],
  unblock: [204, 404, 409, 410]
}

function isExpected(asked: Asked, { status, keys, lease }: Told): boolean {
  if (!EXPECTED[asked.verb].includes(status)) return false
  if (asked.verb === 'unblock' && status === 410) return asked.fence !== undefined
  if (status >= 204) return true
  return ['generate', 'look', 'keepAlive'].includes(asked.verb) ? keys !== undefined : lease !== undefined
}

/** What an answer says of which keys. */
function opsOf(call: Call, grants: Grants): [keyId: string, op: KeyOp][] {
  const { start, end, asked, answer } = call
  if (answer === 'unknown' || !isExpected(asked, answer)) return []
  const { status, keys = [], lease } = answer
  const time = { start, end, call }
  switch (asked.verb) {
    case 'generate':
      return keys.map(({ id, keepAliveBy }) => [id, { ...time, says: 'generated', keepAliveBy }])
    case 'acquire': {
      // A retry says besides that the lease runs, which may have been given before.
      const isGiven = asked.began === start && lease && grants.all.get(lease.fence)?.call === call
      return lease && !isGiven ? [[lease.keyId, { ...time, ...timesOf(lease), says: 'running' }]] : []
    }
    case 'read': {
      const { keyId, fence } = asked
      return [[keyId, lease ? { ...time, ...timesOf(lease), says: 'running' } : { ...time, says: 'lost', fence }]]
    }
    case 'renew': {
      const { keyId, fence, leaseMs } = asked
      if (lease) return [[keyId, { ...time, ...timesOf(lease), says: 'renewed', leaseMs }]]
      if (status === 410) return [[keyId, { ...time, says: 'lost', fence }]]
      // It runs, and for as long as it may.
      return [[keyId, { ...time, says: 'running', fence, expiresAt: undefined, keepAliveBy: undefined }]]
    }
    case 'release':
      return [[asked.keyId, { ...time, says: status === 204 ? 'released' : 'release-lost', fence: asked.fence }]]
    case 'look':
    case 'keepAlive': {
      const [key] = keys
      if (!key) return [[asked.keyId, { ...time, says: 'unknown' }]]
      const { keepAliveBy, lease } = key
      return [[asked.keyId, { ...time, says: asked.verb === 'look' ? 'seen' : 'kept-alive', keepAliveBy, lease }]]
    }
    case 'delete':
      return [[asked.keyId, { ...time, says: status === 204 ? 'deleted' : 'unknown' }]]
    case 'unblock': {
      const { keyId, fence } = asked
      if (status === 404) return [[keyId, { ...time, says: 'unknown' }]]
      if (status === 409) return [[keyId, { ...time, says: 'not-leased' }]]
      if (status === 204) return [[keyId, { ...time, says: 'unblocked', fence }]]
      return [[keyId, { ...time, says: 'unblock-lost', fence }]]
    }
  }
}

function timesOf({ fence, expiresAt, keepAliveBy }: LeaseTold): {
  fence: number
  expiresAt: number
  keepAliveBy: number
} {
  return { fence, expiresAt, keepAliveBy }
}

/** Times from the first call that is shown on, in milliseconds. */
function shown(ops: readonly KeyOp[], around: number): string[] {
  const middle = Math.min(around, ops.length)
  const some = ops.slice(Math.max(0, middle - SHOWN.before), middle + SHOWN.after)
  const from = some[0]?.start ?? 0
  return some.map(({ start, end, call, ...said }) => {
    const { says, ...members } = said
    const told = Object.entries(members).map(([name, value]) => {
      const isInstant = name.endsWith('At') || name.endsWith('By')
      return `${name} ${isInstant && typeof value === 'number' ? `+${(value - from).toFixed(1)}` : JSON.stringify(value)}`
    })
    const mark = ops[around]?.call === call && ops[around]?.says === says ? '> ' : '  '
    return `${mark}+${(start - from).toFixed(1)} … +${(end - from).toFixed(1)} ${call.asked.verb}: ${says} ${told.join(', ')}`
  })
}
