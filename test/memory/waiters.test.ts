import fc from 'fast-check'
import t from 'tap'
import { type Engine, isRefusal, type LeaseView } from '../../src/engine.ts'
import { MemoryEngine } from '../../src/memory/engine.ts'
import { type AcquireAnswer, type Waiter, Waiters } from '../../src/memory/waiters.ts'
import { byNow, createEngine, generate, granted, refusalOf, turns } from '../support/create-engine.ts'
import { ManualClock } from '../support/manual-clock.ts'
import { KEEP_ALIVE_MS, LEASE_MS } from '../support/pool.ts'

const POOL = 'default'
const WAIT_MS = 30_000
const LEASE = { id: 'a.1' } as LeaseView

t.test('those who wait stand in the order in which they came', async t => {
  const waiters = new Waiters()
  t.equal(waiters.first, undefined)
  const { waiter: first, answer } = waiters.wait({ holder: 'first' }, true)
  const { waiter: second } = waiters.wait({ holder: 'second' }, true)
  t.equal(waiters.first, first)
  t.equal(waiters.size, 2)

  waiters.settle(first, LEASE)
  t.equal(await answer, LEASE)
  t.equal(waiters.first, second)
  waiters.settle(second, LEASE)
  t.equal(waiters.first, undefined)
  t.equal(waiters.size, 0)
})

t.test('whoever loses patience keeps the place in the line', async t => {
  const waiters = new Waiters()
  const { waiter: patient } = waiters.wait({}, true)
  const { waiter: impatient } = waiters.wait({}, false)
  t.equal(waiters.first, patient)
  t.equal(waiters.firstImpatient, impatient)
  waiters.settle(impatient, LEASE)
  t.equal(waiters.firstImpatient, undefined)

  waiters.losePatience(patient)
  t.equal(waiters.first, patient)
  t.equal(waiters.firstImpatient, patient)
})

t.test('only the first answer counts, and it takes the timer back', async t => {
  const waiters = new Waiters()
  let cancelled = 0
  const { waiter, answer } = waiters.wait({}, true)
  waiter.timer = { cancel: () => cancelled++ }
  waiters.settle(waiter, LEASE)
  waiters.settle(waiter, { refusal: 'draining' })
  t.equal(await answer, LEASE)
  t.ok(cancelled > 0)
})

t.test('all who wait can be refused in turn', async t => {
  const waiters = new Waiters()
  const answers = [true, false, true].map(patient => waiters.wait({}, patient).answer)
  for (let waiter = waiters.first; waiter !== undefined; waiter = waiters.first) {
    waiters.settle(waiter, { refusal: 'draining' })
  }
  t.strictSame(
    await Promise.all(answers),
    answers.map(() => ({ refusal: 'draining' }))
  )
  t.equal(waiters.size, 0)
  t.equal(waiters.firstImpatient, undefined)
})

t.test('an answer that is not awaited is kept', async t => {
  const waiters = new Waiters()
  const told: AcquireAnswer[] = []
  const waiter: Waiter = waiters.wait({}, true).waiter
  waiter.answer = answer => void told.push(answer)
  waiters.settle(waiter, LEASE)
  t.strictSame(told, [LEASE])
})

type Tools = ReturnType<typeof createEngine> & { id: string; leaseId: string }

// Each way in which a key becomes free, from a pool with one key that somebody holds, or with none.
const ways: { way: string; keys: number; free: (tools: Tools) => unknown }[] = [
  { way: 'a generated key', keys: 0, free: ({ engine }) => engine.generate(POOL, { count: 1, metadata: null }) },
  { way: 'an imported key', keys: 0, free: ({ engine }) => engine.importKeys(POOL, [{ key: 'from-elsewhere' }]) },
  { way: 'a released key', keys: 1, free: ({ engine, leaseId }) => engine.release(POOL, leaseId) },
  { way: 'a key whose lease ends', keys: 1, free: ({ clock }) => clock.advance(LEASE_MS) },
  {
    way: 'a key whose cooling ends',
    keys: 1,
    free: ({ engine, clock, leaseId }) => {
      void engine.release(POOL, leaseId, { cooldownMs: 5000 })
      clock.advance(5000)
    }
  },
  { way: 'a key whose lease is ended by others', keys: 1, free: ({ engine, id }) => engine.unblock(POOL, id) },
  {
    way: 'a key whose cooling is ended',
    keys: 1,
    free: ({ engine, id, leaseId }) => {
      void engine.release(POOL, leaseId, { cooldownMs: LEASE_MS })
      void engine.unblock(POOL, id)
    }
  },
  {
    way: 'a key that a batch releases',
    keys: 1,
    free: ({ engine, leaseId }) => engine.batch(POOL, [{ op: 'release', lease: leaseId }])
  }
]

for (const { way, keys, free } of ways) {
  t.test(`${way} goes to who has waited longest, and then in turn`, async t => {
    const { engine, clock, faults } = createEngine(t)
    await generate(engine, keys)
    const held = keys === 0 ? undefined : await granted(engine.acquire(POOL, {}))
    const waiting = ['first', 'second', 'third'].map(holder => engine.acquire(POOL, { holder, waitMs: 2 * LEASE_MS }))
    await turns()
    t.equal((await granted(engine.pool(POOL))).counts.waiting, 3)

    free({ engine, clock, faults, id: held?.keyId ?? '', leaseId: held?.id ?? '' })
    let fence = held?.fence ?? 0
    for (const [i, holder] of ['first', 'second', 'third'].entries()) {
      const lease = await granted(waiting[i] as (typeof waiting)[0])
      t.equal(lease.holder, holder)
      t.ok(lease.fence > fence)
      t.ok(lease.key, 'with its secret')
      fence = lease.fence
      for (const later of waiting.slice(i + 1)) t.equal(await byNow(later), 'pending')
      t.equal(await granted(engine.release(POOL, lease.id)), 'released')
    }
    t.equal((await granted(engine.pool(POOL))).counts.waiting, 0)
    t.equal((await granted(engine.pool(POOL))).counts.free, 1)
  })
}

t.test('several new keys serve as many as wait, in order', async t => {
  const { engine } = createEngine(t)
  const waiting = Array.from({ length: 5 }, () => engine.acquire(POOL, { waitMs: WAIT_MS }))
  const made = await granted(engine.generate(POOL, { count: 3, metadata: null }))
  t.strictSame(
    made.map(({ state }) => state),
    ['free', 'free', 'free'],
    'a key that waiters take at once is answered as free'
  )
  const leases = await Promise.all(waiting.slice(0, 3).map(granted))
  t.equal(new Set(leases.map(({ keyId }) => keyId)).size, 3)
  t.ok(leases.every(({ fence }, i) => i === 0 || fence > (leases[i - 1] as LeaseView).fence))
  t.equal(await byNow(waiting[3]), 'pending')
  t.equal(await byNow(waiting[4]), 'pending')
})

t.test('a newcomer does not overtake', async t => {
  const { engine, clock } = createEngine(t)
  await generate(engine, 1)
  await granted(engine.acquire(POOL, {}))
  const waiting = engine.acquire(POOL, { holder: 'patient', waitMs: WAIT_MS + LEASE_MS })

  // The lease has ended, but no timer has been called: the newcomer is the first to look.
  clock.stall(LEASE_MS)
  t.equal(await refusalOf(engine.acquire(POOL, { holder: 'newcomer' })), 'no-free-key')
  t.equal((await granted(waiting)).holder, 'patient')

  const queue = ['second', 'third'].map(holder => engine.acquire(POOL, { holder, waitMs: 2 * LEASE_MS }))
  clock.stall(LEASE_MS)
  t.equal(await refusalOf(engine.acquire(POOL, {})), 'no-free-key')
  t.equal((await granted(queue[0] as (typeof queue)[0])).holder, 'second')
  t.equal(await byNow(queue[1]), 'pending')
})

for (const renewals of [20, 40]) {
  for (const newcomer of ['call', 'batch']) {
    t.test(`no ${newcomer} overtakes while ${renewals} deadlines stand before the one that frees a key`, async t => {
      const { engine, clock } = createEngine(t)
      await granted(engine.putPool(POOL, { maxHoldMs: 10 * LEASE_MS }))
      // Renewed leases surface at their first deadline, and more of them than a verb applies before it answers.
      await generate(engine, renewals + 1)
      for (let i = 0; i < renewals; i++) await granted(engine.acquire(POOL, { holder: 'renewed' }))
      clock.advance(1)
      await granted(engine.acquire(POOL, { holder: 'ends' }))
      clock.advance(LEASE_MS / 2)
      const { keys } = await granted(engine.list(POOL, { limit: 100 }))
      for (const { lease } of keys) if (lease?.holder === 'renewed') await granted(engine.renew(POOL, lease.id, {}))
      const waiting = engine.acquire(POOL, { holder: 'patient', waitMs: LEASE_MS })

      clock.stall(LEASE_MS / 2)
      const answer =
        newcomer === 'call'
          ? engine.acquire(POOL, {})
          : granted(engine.batch(POOL, [{ op: 'acquire' }])).then(([outcome]) => outcome?.value)
      clock.advance(0)
      t.equal(await refusalOf(answer), 'no-free-key')
      t.equal((await granted(waiting)).holder, 'patient')
    })
  }
}

t.test('a newcomer gets what those who wait leave', async t => {
  const { engine, clock } = createEngine(t)
  await generate(engine, 2)
  for (let i = 0; i < 2; i++) await granted(engine.acquire(POOL, {}))
  const waiting = engine.acquire(POOL, { holder: 'patient', waitMs: 2 * LEASE_MS })
  clock.stall(LEASE_MS)
  const lease = await granted(engine.acquire(POOL, { holder: 'newcomer' }))
  t.equal((await granted(waiting)).holder, 'patient')
  t.ok(lease.fence > (await granted(waiting)).fence)
})

t.test('whoever leaves before the grant leaves the key to others', async t => {
  const { engine, clock } = createEngine(t)
  const controller = new AbortController()
  const gone = engine.acquire(POOL, { waitMs: WAIT_MS }, { signal: controller.signal })
  t.equal(await byNow(gone), 'pending')
  controller.abort()
  t.equal(await refusalOf(gone), 'no-free-key')
  t.equal((await granted(engine.pool(POOL))).counts.waiting, 0)

  await generate(engine, 1)
  t.equal((await granted(engine.pool(POOL))).counts.free, 1)
  t.equal(clock.timers, 1, 'only that of the sweep is left')
})

t.test('whoever left before coming gets nothing', async t => {
  const { engine } = createEngine(t)
  const signal = AbortSignal.abort()
  t.equal(await refusalOf(engine.acquire(POOL, { waitMs: WAIT_MS }, { signal })), 'no-free-key')
  const retry = { scope: 'a', fingerprint: 'b' }
  t.equal(await refusalOf(engine.acquire(POOL, { waitMs: WAIT_MS }, { signal, retry })), 'no-free-key')
  await generate(engine, 1)
  t.equal((await granted(engine.pool(POOL))).counts.free, 1)
})

t.test('leaving after the grant changes nothing', async t => {
  const { engine } = createEngine(t)
  const controller = new AbortController()
  const waiting = engine.acquire(POOL, { waitMs: WAIT_MS }, { signal: controller.signal })
  await generate(engine, 1)
  const lease = await granted(waiting)
  controller.abort()
  t.equal((await granted(engine.lease(POOL, lease.id))).id, lease.id)
})

t.test('who leaves at a deadline does not take the next one along', async t => {
  const { engine, clock } = createEngine(t)
  await generate(engine, 1)
  await granted(engine.acquire(POOL, {}))
  const controller = new AbortController()
  const leaving = engine.acquire(POOL, { waitMs: 2 * LEASE_MS }, { signal: controller.signal })
  const staying = engine.acquire(POOL, { holder: 'stays', waitMs: 2 * LEASE_MS })

  // The lease has ended when the first leaves, and the sweep has not come by yet.
  clock.stall(LEASE_MS)
  controller.abort()
  t.equal(await refusalOf(leaving), 'no-free-key')
  const lease = await byNow(staying)
  t.ok(typeof lease === 'object' && !isRefusal(lease) && lease.holder === 'stays')
})

t.test('whose time is up counts no longer among those who wait', async t => {
  const { engine, clock } = createEngine(t)
  const short = engine.acquire(POOL, { waitMs: 1000 })
  const long = engine.acquire(POOL, { waitMs: 2000 })
  clock.advance(1000)
  t.match(await short, { refusal: 'no-free-key', counts: { waiting: 1 } })
  clock.advance(1000)
  t.match(await long, { refusal: 'no-free-key', counts: { waiting: 0 } })
})

t.test('waiting ends after waitMs, not before', async t => {
  const { engine, clock } = createEngine(t)
  for (const waitMs of [1, 1000, 60_000]) {
    const waiting = engine.acquire(POOL, { waitMs })
    clock.advance(waitMs - 1)
    t.equal(await byNow(waiting), 'pending')
    clock.advance(1)
    t.match(await byNow(waiting), {
      refusal: 'no-free-key',
      reason: 'pool-empty',
      retryAfterMs: null,
      counts: { total: 0, free: 0, leased: 0, cooling: 0, retired: 0 }
    })
    t.equal((await granted(engine.pool(POOL))).counts.waiting, 0)
  }
  t.equal(clock.timers, 0)
})

t.test('a wait of nothing is none', async t => {
  const { engine, clock } = createEngine(t)
  t.ok(isRefusal(engine.acquire(POOL, { waitMs: 0 })), 'the answer is there at once')
  t.ok(isRefusal(engine.acquire(POOL, {})))
  t.equal(clock.timers, 0)
})

t.test('a key that is free when the wait ends is granted', async t => {
  const { engine, clock } = createEngine(t)
  await generate(engine, 1)
  await granted(engine.acquire(POOL, {}))
  const waiting = engine.acquire(POOL, { waitMs: LEASE_MS })
  clock.stall(LEASE_MS)
  clock.advance(0)
  await granted(waiting)
  t.pass('granted')
})

t.test('whose time is up first leaves the line first', async t => {
  const { engine, clock } = createEngine(t)
  const long = engine.acquire(POOL, { waitMs: 2000 })
  const short = engine.acquire(POOL, { waitMs: 1000 })
  clock.advance(1000)
  t.equal(await refusalOf(short), 'no-free-key')
  t.equal(await byNow(long), 'pending')
  await generate(engine, 1)
  await granted(long)
})

t.test('a refusal says why, and when to try again', async t => {
  const { engine, clock } = createEngine(t)
  t.match(await engine.acquire(POOL, {}), { reason: 'pool-empty', retryAfterMs: null })
  await generate(engine, 3)
  const lease = await granted(engine.acquire(POOL, {}))
  clock.advance(1000)
  await granted(engine.acquire(POOL, {}))
  await granted(engine.acquire(POOL, {}))
  t.strictSame(await engine.acquire(POOL, {}), {
    refusal: 'no-free-key',
    reason: 'all-held',
    retryAfterMs: LEASE_MS - 1000,
    counts: { total: 3, free: 0, leased: 3, cooling: 0, retired: 0, waiting: 0 }
  })
  await granted(engine.release(POOL, lease.id, { cooldownMs: 500 }))
  t.match(await engine.acquire(POOL, {}), { reason: 'all-held', retryAfterMs: 500, counts: { leased: 2, cooling: 1 } })
})

t.test('a wait that outlives all keys ends as on an empty pool', async t => {
  const { engine, clock } = createEngine(t)
  await granted(engine.putPool(POOL, { leaseMs: 2 * KEEP_ALIVE_MS }))
  await generate(engine, 1)
  await granted(engine.acquire(POOL, {}))
  clock.advance(KEEP_ALIVE_MS - 1)
  const waiting = engine.acquire(POOL, { waitMs: 10 })
  clock.advance(10)
  t.match(await waiting, { reason: 'pool-empty', retryAfterMs: null, counts: { retired: 1, leased: 0 } })
})

t.test('the policy may have changed while a caller waited', async t => {
  const { engine } = createEngine(t)
  const long = engine.acquire(POOL, { leaseMs: LEASE_MS, waitMs: WAIT_MS })
  const usual = engine.acquire(POOL, { waitMs: WAIT_MS })
  await granted(engine.putPool(POOL, { leaseMs: 1000 }))
  await generate(engine, 1)
  t.equal(await refusalOf(long), 'lease-too-long')
  t.equal((await granted(usual)).expiresInMs, 1000)
})

t.test('a lease that is too long is refused before any wait', async t => {
  const { engine } = createEngine(t)
  t.strictSame(engine.acquire(POOL, { leaseMs: LEASE_MS + 1, waitMs: WAIT_MS }), { refusal: 'lease-too-long' })
  t.equal((await granted(engine.pool(POOL))).counts.waiting, 0)
})

t.test('ten thousand callers wait for a pool, and no more', async t => {
  const { engine } = createEngine(t)
  await granted(engine.putPool('other', {}))
  const controller = new AbortController()
  const waiting = [engine.acquire(POOL, { waitMs: WAIT_MS }, { signal: controller.signal })]
  for (let i = 1; i < 10_000; i++) waiting.push(engine.acquire(POOL, { waitMs: WAIT_MS }))
  t.equal((await granted(engine.pool(POOL))).counts.waiting, 10_000)

  t.strictSame(engine.acquire(POOL, { waitMs: 1 }), { refusal: 'overloaded' })
  t.equal(await refusalOf(engine.acquire(POOL, {})), 'no-free-key', 'whoever does not wait is told as ever')
  t.equal(await byNow(engine.acquire('other', { waitMs: 1 })), 'pending', 'another pool has a line of its own')
  controller.abort()
  t.equal(await refusalOf(waiting[0] as (typeof waiting)[0]), 'no-free-key')
  t.equal(await byNow(engine.acquire(POOL, { waitMs: 1 })), 'pending')
})

t.test('the end of a pool is the end of waiting for it', async t => {
  const { engine, clock } = createEngine(t)
  await granted(engine.putPool('scratch', {}))
  const waiting = [1, 2].map(() => engine.acquire('scratch', { waitMs: WAIT_MS }))
  const elsewhere = engine.acquire(POOL, { waitMs: WAIT_MS })
  t.equal(await granted(engine.deletePool('scratch')), 'deleted')
  for (const answer of waiting) t.strictSame(await answer, { refusal: 'unknown-pool' })
  t.equal(await byNow(elsewhere), 'pending')
  t.equal(clock.timers, 1)
})

t.test('draining ends all waiting, and lets nobody wait', async t => {
  const { engine, clock } = createEngine(t)
  await granted(engine.putPool('other', {}))
  const waiting = [POOL, 'other'].map(pool => engine.acquire(pool, { waitMs: WAIT_MS }))
  engine.drain()
  for (const answer of waiting) t.strictSame(await answer, { refusal: 'draining' })
  t.equal(clock.timers, 0)

  t.strictSame(engine.acquire(POOL, { waitMs: WAIT_MS }), { refusal: 'draining' })
  await granted(engine.putPool('newer', {}))
  t.strictSame(engine.acquire('newer', { waitMs: WAIT_MS }), { refusal: 'draining' })
  t.equal(await refusalOf(engine.acquire(POOL, {})), 'no-free-key')
  await generate(engine, 1)
  await granted(engine.acquire(POOL, { waitMs: WAIT_MS }))
})

t.test('a pool without keys or callers sets no timer', async t => {
  const { clock } = createEngine(t)
  t.equal(clock.timers, 0)
})

/** Something that happens to a pool; `n` picks a lease, a caller or a length. */
type Step = { act: 'wait' | 'ask' | 'leave' | 'generate' | 'pass' | 'stall' | Ending | 'renew' | 'batch'; n: number }
type Ending = 'release' | 'cool' | 'unblock' | 'delete'

interface Caller {
  answer: Awaited<ReturnType<Engine['acquire']>> | undefined
  patientUntil: number
  left: boolean
  controller: AbortController
}

/** One run: throws where a key has two holders, somebody is passed over, waits too long, or waits beside a free key. */
async function play(steps: readonly Step[]): Promise<void> {
  const clock = new ManualClock()
  const wrong: unknown[] = []
  const engine = new MemoryEngine({ clock, onFault: error => void wrong.push(error) })
  await granted(engine.putPool(POOL, { leaseMs: 100, maxHoldMs: 300, keepAliveMs: 5000 }))
  const callers: Caller[] = []
  const leases: LeaseView[] = []
  const held = new Map<string, LeaseView>()

  function grant(lease: LeaseView): void {
    const before = held.get(lease.keyId)
    if (before !== undefined && before.fence >= lease.fence) wrong.push('a fence does not grow')
    if (before !== undefined && !isRefusal(engine.lease(POOL, before.id))) wrong.push('a key has two holders')
    held.set(lease.keyId, lease)
    leases.push(lease)
  }

  function call(waitMs: number): void {
    const controller = new AbortController()
    const caller: Caller = { answer: undefined, patientUntil: clock.now() + waitMs, left: false, controller }
    callers.push(caller)
    const answer = engine.acquire(POOL, { waitMs }, { signal: controller.signal })
    void Promise.resolve(answer).then(answer => {
      caller.answer = answer
      const index = callers.indexOf(caller)
      if (isRefusal(answer)) {
        if (!caller.left && clock.now() < caller.patientUntil) wrong.push('refused before its time')
        return
      }
      if (callers.slice(0, index).some(({ answer }) => answer === undefined))
        throw new Error('somebody was passed over')
      grant(answer)
    })
  }

  async function take({ act, n }: Step): Promise<void> {
    const lease = leases.at(-1 - (n % 8))
    if (act === 'wait') call([50, 100, 1000, 10_000][n % 4] as number)
    if (act === 'ask') call(0)
    if (act === 'generate') await engine.generate(POOL, { count: 1, metadata: null })
    if (act === 'pass') clock.advance([0, 1, 50, 99, 100, 5000][n % 6] as number)
    if (act === 'stall') clock.stall([1, 50, 99, 100][n % 4] as number)
    if (act === 'leave') {
      const caller = callers.filter(({ answer }) => answer === undefined)[n % 3]
      if (caller !== undefined) caller.left = true
      caller?.controller.abort()
    }
    if (lease === undefined) return
    if (act === 'release') await engine.release(POOL, lease.id)
    if (act === 'cool') await engine.release(POOL, lease.id, { cooldownMs: 70 })
    if (act === 'unblock') await engine.unblock(POOL, lease.keyId)
    if (act === 'delete') await engine.delete(POOL, lease.keyId)
    if (act === 'renew') await engine.renew(POOL, lease.id, { keepAlive: true })
    if (act === 'batch') {
      const outcomes = await engine.batch(POOL, [{ op: 'release', lease: lease.id }, { op: 'acquire' }])
      const value = isRefusal(outcomes) ? undefined : outcomes[1]?.value
      if (typeof value === 'object' && value !== null && 'fence' in value) grant(value as LeaseView)
    }
  }

  try {
    for (const step of steps) {
      await take(step)
      await turns()
      if (step.act === 'stall') continue
      clock.advance(0)
      await turns()
      const { counts } = await granted(engine.pool(POOL))
      if (counts.waiting > 0 && counts.free > 0) wrong.push('somebody waits beside a free key')
      const late = callers.some(({ answer, patientUntil }) => answer === undefined && patientUntil <= clock.now())
      if (late) wrong.push('somebody waits too long')
      if (wrong.length > 0) throw new Error(String(wrong))
    }
  } finally {
    engine.close()
  }
}

t.test('whatever happens, the longest wait is served first, and nobody waits beside a free key', async t => {
  const acts: Step['act'][] = [
    'wait',
    'wait',
    'wait',
    'ask',
    'leave',
    'leave',
    'generate',
    'pass',
    'pass',
    'stall',
    'stall'
  ]
  const more: Step['act'][] = ['release', 'release', 'cool', 'unblock', 'delete', 'renew', 'renew', 'batch']
  const step = fc.record({ act: fc.constantFrom(...acts, ...more), n: fc.nat(23) })
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 10, maxLength: 60, size: 'max' }), steps => play(steps)),
    { numRuns: 500 }
  )
  t.pass('in 500 runs')
})

t.test('nonsense does not join those who wait', async t => {
  const { engine } = createEngine(t)
  const waiting = engine.acquire(POOL, { waitMs: WAIT_MS })
  t.throws(() => engine.acquire(POOL, { leaseMs: 5, waitMs: WAIT_MS }), RangeError)
  await generate(engine, 1)
  t.ok((await granted(waiting)).key)
})
