import type { Counts, KeyView, LeaseView, PoolView, Refusal, Refusals } from '../engine.ts'
import { KEY_STATES, type KeyRecord, type KeyState } from '../pool/key-record.ts'
import { viewKey, viewKeyspace, viewLease } from '../pool/views.ts'

/** What a script answers: how it ended, and what goes with that. */
export type Reply = [status: string, ...rest: unknown[]]

/** A key as a script tells of it: its id, and the members of its record in the order of prelude.lua. */
type Told = [
  id: string,
  key: string | null,
  serial: number,
  createdAt: number,
  activatedAt: number,
  keepAliveBy: number,
  state: number,
  until: number,
  acquiredAt: number,
  fence: number,
  holdMs: number,
  holder: string | null,
  owner: string | null,
  metadata: string | null
]

/** Of a key that does not age. */
const NEVER = -1

/** How many keys there are in which state, and how many callers wait. */
export function readCounts(told: unknown): Counts {
  const [free, leased, cooling, retired, waiting] = told as [number, number, number, number, number]
  return { total: free + leased + cooling, free, leased, cooling, retired, waiting }
}

/** The key of an answer that shows one. */
export function readKey([, now, , told]: Reply): KeyView {
  return readKeyOf(told, now as number)
}

/** The keys of an answer that lists them. */
export function readKeys([, now, list]: Reply): KeyView[] {
  return (list as Told[]).map(told => readKeyOf(told, now as number))
}

/** The lease of an answer that shows one. */
export function readLease([, now, longestHold, told]: Reply): LeaseView {
  const { id, record, key } = readRecord(told)
  return viewLease(id, record, now as number, longestHold as number, key)
}

/** Of the leases that an answer grants, or those in it; 0 where there are none. */
export function largestFenceOf(reply: Reply): number {
  if (reply[0] === 'granted') return readLease(reply).fence
  const answers = reply[0] === 'done' ? reply[1] : reply[0] === 'served' ? reply[3] : []
  return (answers as Reply[]).reduce((largest, answer) => Math.max(largest, largestFenceOf(answer)), 0)
}

/** The pool of an answer of `view`. */
export function readPool(name: string, [, told, counts, used]: Reply): PoolView {
  const [leaseMs, maxHoldMs, keepAliveMs, alphabet, length, prefix, reuseDeleted, maxKeys] = told as string[]
  const policy = {
    leaseMs: Number(leaseMs),
    maxHoldMs: maxHoldMs === '' ? null : Number(maxHoldMs),
    keepAliveMs: keepAliveMs === '' ? null : Number(keepAliveMs),
    alphabet: alphabet as string,
    length: Number(length),
    prefix: prefix as string,
    reuseDeleted: reuseDeleted === '1',
    maxKeys: Number(maxKeys)
  }
  const size = BigInt(policy.alphabet.length) ** BigInt(policy.length)
  return { name, policy, counts: readCounts(counts), keyspace: viewKeyspace(size, size - BigInt(used as number)) }
}

/** The refusal that an answer is, where it is none of those that the verb treats otherwise. */
export function readRefusal<R extends keyof Refusals>([status, ...rest]: Reply): Refusal<R> {
  const [first, second] = rest
  const members: Record<string, () => object> = {
    'no-free-key': () => {
      const counts = readCounts(first)
      return { reason: counts.total === 0 ? 'pool-empty' : 'all-held', retryAfterMs: second, counts }
    },
    'key-exists': () => ({ indexes: first }),
    'keyspace-exhausted': () => ({ remaining: first }),
    'key-retired': () => ({ indexes: first })
  }
  return { refusal: status, ...members[status]?.() } as Refusal<R>
}

function readKeyOf(told: unknown, now: number): KeyView {
  const { id, record, key } = readRecord(told)
  return viewKey(id, record, now, key)
}

function readRecord(told: unknown): { id: string; record: Omit<KeyRecord, 'key'>; key: string | undefined } {
  const [id, key, serial, createdAt, activatedAt, keepAliveBy, state, until, acquiredAt, fence, holdMs, ...texts] =
    told as Told
  const [holder, owner, metadata] = texts
  const record = {
    serial,
    createdAt,
    activatedAt,
    keepAliveBy: keepAliveBy === NEVER ? Infinity : keepAliveBy,
    state: KEY_STATES[state] as KeyState,
    until,
    acquiredAt,
    fence,
    holdMs,
    holder: holder ?? undefined,
    owner: owner ?? undefined,
    metadata: metadata === null ? undefined : JSON.parse(metadata)
  }
  return { id, record, key: key ?? undefined }
}
