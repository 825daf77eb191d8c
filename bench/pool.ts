import { type KeyRecord, KeyPool, type LeaseView } from '../src/pool/key-pool.ts'
import { bytesInUse, check, fixed, heading, type Summary, summarize, table, thousands } from './measure.ts'

// Verb × size. Each verb is timed in turn with its baseline: a lookup by a string in a Map of as many keys, which is the
// least that any verb that is given an id can do. Ratios travel between machines, nanoseconds do not.
const SIZES = (process.env['BENCH_SIZES'] ?? '1e3,1e5,1e6,1e7').split(',').map(Number)
const SAMPLES = 20
const START = Date.UTC(2026, 2, 1, 12)

/** Times a call over many arguments, as many per sample as leave enough to go round. */
function timeEach<T>(items: readonly T[], call: (item: T) => void): Summary {
  const perSample = Math.floor(items.length / SAMPLES)
  const samples: number[] = []
  for (let sample = 0; sample < SAMPLES; sample++) {
    const end = (sample + 1) * perSample
    const started = process.hrtime.bigint()
    for (let i = sample * perSample; i < end; i++) call(items[i] as T)
    samples.push(Number(process.hrtime.bigint() - started) / perSample)
  }
  return summarize(samples)
}

function shuffled<T>(items: T[]): T[] {
  for (let i = items.length - 1; i > 0; i--) {
    const j = Math.floor(Math.random() * (i + 1))
    ;[items[i], items[j]] = [items[j] as T, items[i] as T]
  }
  return items
}

/** The same characters in a string of its own, as a request would bring them: nothing about it is known to V8 yet. */
const fresh = (text: string): string => Buffer.from(text, 'latin1').toString('latin1')

/** Returns what prints the results. */
function benchSize(size: number): () => void {
  let now = START
  const before = bytesInUse()
  // A renewal can move the deadline, so that it has something to do.
  const pool = new KeyPool({
    clock: () => now,
    policy: { maxKeys: 16_000_000, maxHoldMs: 600_000, keepAliveMs: 3_600_000 }
  })
  const rows: [string, Summary][] = []

  // Leases and ids of that many keys are kept by the bench, to have arguments for the verbs.
  const count = Math.min(size, 200_000)
  rows.push(['generate', timeEach(Array.from({ length: size }), () => pool.generate(1))])
  const bytesFree = (bytesInUse() - before) / size

  const leases: LeaseView[] = []
  const half = Math.floor(count / 2)
  rows.push(['acquire', timeEach(Array.from({ length: half }), () => leases.push(pool.acquire() as LeaseView))])
  check(pool.counts().leased === leases.length, 'not every acquire leased a key')
  const leaseIds = shuffled(leases.map(({ id }) => fresh(id)))
  const ids = shuffled(leases.map(({ keyId }) => fresh(keyId)))
  leases.length = 0
  now += 1000
  rows.push(['renew', timeEach(leaseIds, id => check(typeof pool.renew(id) === 'object', 'a renewal was refused'))])
  rows.push(['keep alive', timeEach(ids, id => check(pool.keepAlive(id) !== 'unknown-key', 'a key is unknown'))])
  rows.push(['get', timeEach(ids, id => check(pool.get(id) !== 'unknown-key', 'a key is unknown'))])
  rows.push(['release', timeEach(leaseIds, id => check(pool.release(id) === 'released', 'a release was refused'))])
  rows.push(['acquire + release', timeEach(leaseIds, () => pool.release((pool.acquire() as LeaseView).id))])
  rows.push(['delete', timeEach(ids.slice(0, half >> 1), id => check(pool.delete(id) === 'deleted', 'not deleted'))])
  const deleted = SAMPLES * Math.floor((half >> 1) / SAMPLES)
  check(pool.counts().total === SAMPLES * Math.floor(size / SAMPLES) - deleted, 'keys were lost')

  // Churn, where lazy deletion pays: every key leased, released and kept alive, over and over, with time going by.
  const churn = Math.min(size * 3, 3_000_000)
  const largest = { holds: 0, lives: 0 }
  const held: string[] = []
  const churned = summarize([
    time(() => {
      for (let i = 0; i < churn; i++) {
        if (i % 64 === 0) now++
        const lease = pool.acquire({ leaseMs: 100 + ((i * 7919) % 59_900) })
        if (typeof lease === 'object') held.push(lease.id)
        if (held.length > 50) pool.release(held.shift() as string)
        if (i % 1024 !== 0) continue
        const { holds, lives } = pool.heapSizes
        largest.holds = Math.max(largest.holds, holds)
        largest.lives = Math.max(largest.lives, lives)
      }
    }) / churn
  ])
  rows.push(['churn (acquire, release)', churned])
  const living = pool.counts().total
  check(largest.holds <= 2 * living && largest.lives <= 2 * living, 'a heap passed twice the number of living keys')

  rows.push(['restore', benchRestore(pool, () => now)])

  while (typeof pool.acquire() === 'object');
  held.length = 0
  const bytesLeased = (bytesInUse() - before) / size

  const map = new Map(Array.from({ length: size }, (_, i) => [fresh(`key-number-${i}-of-many`), i]))
  const names = shuffled(
    Array.from({ length: count }, (_, i) => fresh(`key-number-${Math.floor((i * size) / count)}-of-many`))
  )
  const lookup = timeEach(names, name => check(map.get(name) !== undefined, 'the Map lost a key'))
  rows.push(['baseline: Map lookup', lookup])

  return () => {
    console.log(`\n### ${thousands(size)} keys\n`)
    table(
      ['verb', 'ns', 'p10', 'p90', 'million/s', '× Map lookup'],
      rows.map(([verb, { median, p10, p90 }]) => [
        verb,
        thousands(median),
        thousands(p10),
        thousands(p90),
        fixed(1000 / median),
        fixed(median / lookup.median, 1)
      ])
    )
    console.log(
      `\nlargest heaps under churn: ${fixed(largest.holds / living)} and ${fixed(largest.lives / living)} entries per living key`
    )
    // Of fewer keys not to be told from what else the process holds.
    if (size >= 100_000)
      console.log(`bytes per key: ${fixed(bytesFree, 0)} free, ${fixed(bytesLeased, 0)} when all are leased`)
  }
}

/** As at a start from disk: the records of up to a million keys, in no order, go into a pool that is empty. */
function benchRestore(pool: KeyPool, clock: () => number): Summary {
  const records: [id: string, record: KeyRecord][] = []
  let cursor: string | null | undefined
  while (cursor !== null && records.length < 1_000_000) {
    const page = pool.list({ limit: 1000, cursor })
    if (typeof page === 'string') throw new Error(`wrong result: the list is ${page}`)
    for (const { id } of page.keys) records.push([fresh(id), pool.record(id) as KeyRecord])
    cursor = page.nextCursor
  }
  const other = new KeyPool({ clock, policy: pool.policy })
  const restored = timeEach(shuffled(records), ([id, record]) => other.restore(id, record))
  check(other.counts().total === SAMPLES * Math.floor(records.length / SAMPLES), 'keys were lost on the way')
  return restored
}

function time(run: () => void): number {
  const started = process.hrtime.bigint()
  run()
  return Number(process.hrtime.bigint() - started)
}

heading('Pool: verb × size')
// A thousand calls would time V8's interpreter: the code is made hot first.
for (let round = 0; round < 20; round++) benchSize(2000)
for (const size of SIZES) benchSize(size)()
